"""Language models behind an address, for captions: built from settings and environment."""

import ipaddress
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict
from urllib.parse import urlsplit

from bunny.caption.bedrock import ConverseEngine
from bunny.core import http_body
from bunny.core.config import AwsConfig, CaptioningConfig
from bunny.core.config.captioning import ServedCaptionConfig
from bunny.core.error import UserError

KEY_VARIABLE = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
LOCAL_KEY_VARIABLE = "LOCAL_API_KEY"  # many local servers need none
# Prefix of dspy's model names. `ollama` is its plain dialect of chat completions (`max_tokens`,
# no OpenAI extras), which vLLM, llama.cpp and LM Studio answer as well as Ollama.
PREFIX = {"openai": "openai", "anthropic": "anthropic", "local": "ollama", "bedrock": "bedrock"}
OWN_HOST = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}
REASONING_MIN_TOKENS = 16_000  # dspy's least budget for OpenAI's reasoning models


class ModelCall(TypedDict):
    """What one call of a model came to, without what was said."""

    usage: Mapping[str, int | None]  # prompt_tokens, completion_tokens
    cost: float | None  # US dollars
    refusal: str | None
    is_filtered: bool
    is_cut: bool  # at the most tokens of an answer


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model behind an address: its provider, and the sections of the settings for it.

    Raises
    ------
    UserError
        If the settings cannot work, e.g. name no model.
    """

    provider: str  # of `PREFIX`
    captioning: CaptioningConfig
    aws: AwsConfig

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        if self.provider not in PREFIX:
            raise UserError(
                f"captioning.providers: expected one of {', '.join(PREFIX)}, got {self.provider!r}"
            )
        _check(self.provider, self.config)

    @property
    def config(self) -> ServedCaptionConfig:
        """The provider's own section of `captioning`."""
        return getattr(self.captioning, self.provider)

    @property
    def name(self) -> str:
        """The model's name at its provider."""
        return self.config.model

    @property
    def host(self) -> str:
        """Name of the machine that pictures are sent to."""
        if self.config.endpoint_url:
            return urlsplit(self.config.endpoint_url).hostname or ""
        if self.provider == "bedrock":
            return f"bedrock-runtime.{self.aws.region}.amazonaws.com"
        return OWN_HOST[self.provider]

    @property
    def credential_name(self) -> str:
        """Source of the provider's credential, for error messages."""
        if self.provider == "bedrock":
            return f"profile {self.aws.profile}" if self.aws.profile else "the AWS credentials"
        return KEY_VARIABLE.get(self.provider, LOCAL_KEY_VARIABLE)

    def check_upload(self, what: str, otherwise: str = "") -> None:
        """Refuse to send pictures to another machine where `captioning.allow_upload` is not set.

        Parameters
        ----------
        what : str
            Pictures and where they go, e.g. ``12 crops go to openai at api.openai.com``.
        otherwise : str
            What the user can do instead, as the end of the sentence.
        """
        if is_away(self.host) and not self.captioning.allow_upload:
            raise UserError(
                f"captioning.allow_upload: {what}; set captioning.allow_upload=true to allow it"
                f"{otherwise}"
            )


def make_lm(model: ServedModel) -> Any:
    """Build the `dspy.LM` of a provider: one attempt a call, no cache, no history of pictures.

    Raises
    ------
    UserError
        If a credential is not set; nothing was sent.
    """
    key = _read_key(model.provider)
    dspy = import_dspy()
    captioning = model.captioning
    options: dict[str, Any] = {
        "model": f"{PREFIX[model.provider]}/{model.name}",
        "temperature": captioning.temperature,
        "max_tokens": captioning.max_tokens,
        "cache": False,
        "num_retries": 0,
    }
    if model.provider == "bedrock":
        options["engine"] = ConverseEngine.connect(captioning, model.aws)
    else:
        options["engine"] = _engine(model, options["model"], key)
    kind = _metered(dspy, options["engine"])
    try:
        return kind(**options)
    except dspy.LMConfigurationError:  # a reasoning model, which takes neither setting
        budget = max(REASONING_MIN_TOKENS, captioning.max_tokens)
        return kind(**(options | {"temperature": None, "max_tokens": budget}))


def _engine(model: ServedModel, name: str, key: str | None) -> Any:
    """dspy's own engine with a transport that reads answers through `http_body.bounded`."""
    from dspy import lm15
    from dspy._vendor.lm15.transports import StdlibTransport, TransportResponse
    from dspy.clients.engines.lm15_engine import LM15Engine

    own, wait_s = model.captioning, model.captioning.timeout_seconds

    def within_limits(answer: Any) -> Iterator[bytes]:
        if "," in (answer.header("content-encoding") or ""):
            raise lm15.TransportError("expected an answer that is compressed at most once")
        try:
            yield from http_body.bounded(answer, wait_s + own.connect_timeout_seconds)
        except TimeoutError as error:
            raise lm15.TimeoutError(str(error)) from error
        except ValueError as error:
            raise lm15.TransportError(str(error)) from error

    class BoundedTransport(StdlibTransport):
        def stream(self, request: Any) -> Any:
            answer = super().stream(request)
            return TransportResponse(
                status=answer.status,
                reason=answer.reason,
                headers=answer.headers,
                http_version=answer.http_version,
                chunks=within_limits(answer),
                release=lambda _: answer.close(),
            )

    transport = BoundedTransport(
        connect_timeout=own.connect_timeout_seconds,
        read_timeout=wait_s,
        write_timeout=wait_s,
        pool_timeout=wait_s,
    )
    config = lm15.RouterConfig(transport=transport)
    provider = LM15Engine(config).resolve(name).provider
    url = model.config.endpoint_url.rstrip("/")
    return LM15Engine(
        replace(
            config,
            api_keys={provider: key} if key else None,
            base_urls={provider: url} if url else None,
        )
    )


def is_away(host: str) -> bool:
    """Whether a host is another machine than this one."""
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True  # a name


def import_dspy() -> Any:
    """Import dspy so that it neither calls home for prices nor keeps a cache in the home folder."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import dspy

    return dspy


def _check(name: str, config: ServedCaptionConfig) -> None:
    """Refuse a section that cannot work."""
    url = config.endpoint_url
    if not config.model:
        raise UserError(
            f"captioning.{name}.model: expected the name of a vision model, "
            f'got ""; set it or leave {name} out of captioning.providers'
        )
    if name == "local" and not url:
        raise UserError(
            "captioning.local.endpoint_url: expected the address of the local server, e.g. "
            'http://localhost:11434/v1, got ""'
        )
    if url and not url.startswith(("http://", "https://")):
        raise UserError(
            f"captioning.{name}.endpoint_url: expected an address that starts with http:// or "
            f"https://, got {url!r}"
        )
    if urlsplit(url).password or urlsplit(url).username:
        raise UserError(
            f"captioning.{name}.endpoint_url: expected an address without user and password; put "
            f"{KEY_VARIABLE.get(name, LOCAL_KEY_VARIABLE)} in .env"
        )


def _read_key(provider: str) -> str | None:
    """The key from the environment; Bedrock's are found by boto3."""
    if provider == "bedrock":
        return None
    if provider == "local":
        return os.environ.get(LOCAL_KEY_VARIABLE) or "none"
    variable = KEY_VARIABLE[provider]
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(
            f"caption provider {provider} needs a key in the environment variable "
            f"{variable}, which is not set; put it in .env or leave {provider} out of "
            "captioning.providers"
        )
    return key


def _estimate_usd(response: Any, engine: Any, name: str) -> float | None:
    """Cost of an answer by dspy's price list, which it asks for its own engines alone."""
    if isinstance(engine, ConverseEngine):
        return None
    from dspy.clients.costs import estimate_cost

    route = engine.resolve(name)
    return estimate_cost(response, provider=route.provider, requested_model=route.model)[0]


def _metered(dspy: Any, engine: Any) -> type:
    """An LM that remembers what its calls cost and not what was said: pictures are large."""

    class MeteredLM(dspy.LM):
        def update_history(self, entry: dict[str, Any]) -> None:
            response = entry["response"]  # a dspy.lm15.Response
            said_no = [part.text for part in response.message.parts if part.type == "refusal"]
            call: ModelCall = {
                "usage": entry["usage"],
                "cost": _estimate_usd(response, engine, self.model),
                "refusal": " ".join(said_no) or None,
                "is_filtered": response.finish_reason == "content_filter",
                "is_cut": response.finish_reason == "length",
            }
            self.history.append(call)

    return MeteredLM
