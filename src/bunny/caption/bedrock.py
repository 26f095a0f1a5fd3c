"""Amazon Bedrock through boto3's `converse`, as an engine of dspy.

Request and answer: https://docs.aws.amazon.com/bedrock/latest/APIReference/
API_runtime_Converse.html
"""

import base64
from typing import Any, Literal

from bunny.core import http_body
from bunny.core.config import AwsConfig, CaptioningConfig
from bunny.core.error import UserError

FINISH: dict[str, Literal["stop", "length", "content_filter"]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
# Error codes of the runtime, by what they mean to the caller; other 5xx are server errors.
THROTTLED = {"ThrottlingException", "TooManyRequestsException", "ServiceQuotaExceededException"}
TIMED_OUT = {"ModelTimeoutException", "RequestTimeout"}
BUSY = {"ServiceUnavailableException", "InternalServerException", "ModelNotReadyException"}
REJECTED = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
}


class ConverseEngine:
    """One attempt a call; retries belong to the caller."""

    def __init__(self, client: Any) -> None:
        """`client` is a boto3 `bedrock-runtime` client."""
        self.client = client

    @classmethod
    def connect(cls, captioning: CaptioningConfig, aws: AwsConfig) -> "ConverseEngine":
        """Make the client after looking for credentials.

        Raises
        ------
        UserError
            If the profile does not exist or no credentials are found; nothing was sent.
        """
        import os

        import boto3
        from botocore.config import Config
        from botocore.exceptions import ProfileNotFound

        try:
            session = boto3.Session(profile_name=aws.profile or None, region_name=aws.region)
        except ProfileNotFound as error:
            raise UserError(
                f"aws.profile: no profile named {aws.profile!r} in ~/.aws; run "
                "`aws configure` or leave the setting empty"
            ) from error
        has_token = bool(os.environ.get("AWS_BEARER_TOKEN_BEDROCK"))
        if not has_token and session.get_credentials() is None:
            raise UserError(
                "caption provider bedrock needs AWS credentials, found none; set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in .env, or aws.profile"
            )
        config = Config(
            connect_timeout=captioning.connect_timeout_seconds,
            read_timeout=captioning.timeout_seconds,
            retries={"total_max_attempts": 1},
            max_pool_connections=captioning.batch_size,
        )
        url = captioning.bedrock.endpoint_url or None
        client = session.client("bedrock-runtime", endpoint_url=url, config=config)
        seconds = captioning.timeout_seconds + captioning.connect_timeout_seconds
        return cls(http_body.bound_client(client, seconds))

    def complete(self, request: Any) -> Any:
        """Send one canonical request, give back one canonical response."""
        from botocore import exceptions as aws
        from dspy import lm15

        model = request.model.partition("/")[2]
        try:
            answer = self.client.converse(
                modelId=model,
                messages=[_message(m) for m in request.messages],
                inferenceConfig=_inference(request.config),
                **({"system": _system(request.system)} if request.system else {}),
            )
        except aws.ClientError as error:
            raise _translate(error) from error
        except (aws.ReadTimeoutError, aws.ConnectTimeoutError) as error:
            raise lm15.TimeoutError(str(error), provider="bedrock") from error
        except (aws.NoCredentialsError, aws.CredentialRetrievalError) as error:
            raise lm15.AuthError(str(error), provider="bedrock") from error
        except (aws.HTTPClientError, aws.BotoCoreError, ValueError) as error:
            raise lm15.TransportError(str(error), provider="bedrock") from error
        return _response(answer, model)

    def close(self) -> None:
        """Give the connections back."""
        self.client.close()


def _message(message: Any) -> dict[str, Any]:
    return {"role": message.role, "content": [_block(part) for part in message.parts]}


def _block(part: Any) -> dict[str, Any]:
    """One content block: text, or a picture as bytes."""
    if part.type == "image":
        kind = part.media_type.removeprefix("image/")
        return {"image": {"format": kind, "source": {"bytes": base64.b64decode(part.data)}}}
    return {"text": part.text}


def _system(system: Any) -> list[dict[str, str]]:
    return [{"text": system}] if isinstance(system, str) else [{"text": p.text} for p in system]


def _inference(config: Any) -> dict[str, Any]:
    values = {"maxTokens": config.max_tokens, "temperature": config.temperature}
    return {key: value for key, value in values.items() if value is not None}


def _response(answer: dict[str, Any], model: str) -> Any:
    """The canonical response; a message without text has empty text."""
    from dspy import lm15

    if "output" not in answer:  # boto3 reads half a JSON as nothing
        raise lm15.TransportError("the reply has no output; it was cut off", provider="bedrock")
    blocks = answer.get("output", {}).get("message", {}).get("content") or []
    text = "".join(block.get("text", "") for block in blocks)
    usage = answer.get("usage", {})
    return lm15.Response(
        id=answer.get("ResponseMetadata", {}).get("RequestId") or None,
        model=model,
        message=lm15.Message.assistant([lm15.TextPart(text)]),
        finish_reason=FINISH.get(answer.get("stopReason", ""), "stop"),
        usage=lm15.Usage(
            input_tokens=usage.get("inputTokens"),
            output_tokens=usage.get("outputTokens"),
            total_tokens=usage.get("totalTokens"),
        ),
    )


def _translate(error: Any) -> Exception:
    """The canonical error of a refusal by the service."""
    from dspy import lm15

    code = error.response.get("Error", {}).get("Code", "")
    meta = error.response.get("ResponseMetadata", {})
    status = meta.get("HTTPStatusCode")
    kind = lm15.InvalidRequestError
    if code in THROTTLED or status == 429:
        kind = lm15.RateLimitError
    elif code in TIMED_OUT or status == 408:
        kind = lm15.TimeoutError
    elif code in BUSY or (status or 0) >= 500:
        kind = lm15.ServerError
    elif code in REJECTED or status in (401, 403):
        kind = lm15.AuthError
    elif code == "ResourceNotFoundException":
        kind = lm15.UnsupportedModelError
    hint = meta.get("HTTPHeaders", {}).get("retry-after", "")
    return kind(
        str(error),
        provider="bedrock",
        provider_code=code,
        status=status,
        retry_after=float(hint) if hint.isdigit() else None,
    )
