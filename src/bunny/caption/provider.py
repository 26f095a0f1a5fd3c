"""Language models behind an address, for captions: built from settings and environment."""

import ipaddress
import os
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from bunny.caption.bedrock import ConverseEngine
from bunny.core.error import UserError

KEY_VARIABLE = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
LOCAL_KEY_VARIABLE = "LOCAL_API_KEY"  # many local servers need none
# Prefix of dspy's model names. `ollama` is its plain dialect of chat completions (`max_tokens`,
# no OpenAI extras), which vLLM, llama.cpp and LM Studio answer as well as Ollama.
PREFIX = {"openai": "openai", "anthropic": "anthropic", "local": "ollama", "bedrock": "bedrock"}
OWN_HOST = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}
REASONING_MIN_TOKENS = 16_000  # dspy's least budget for OpenAI's reasoning models


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """Settings of the model that is asked, with timeouts and retries."""

    provider: str  # bedrock, openai, anthropic, local
    model: str
    max_tokens: int = 120
    temperature: float = 0.0
    endpoint_url: str = ""  # empty: the provider's own; with OpenAI's and Anthropic's "/v1"
    timeout_s: float = 60.0  # for the whole answer
    connect_timeout_s: float = 10.0
    max_retries: int = 4
    backoff_s: float = 1.0  # first pause; doubled each time
    region: str = "us-east-1"
    profile: str = ""
    num_in_flight: int = 8  # requests at once
    requests_per_minute: int = 0  # 0: no limit
    tokens_per_minute: int = 0
    input_price_usd: float = 0.0  # for a million tokens; both 0: as dspy's list has it
    output_price_usd: float = 0.0


def make_lm(settings: ProviderSettings) -> Any:
    """Build the `dspy.LM` of a provider: one attempt a call, no cache, no history of pictures.

    Raises
    ------
    UserError
        If the model or address is missing or a credential is not set; nothing was sent.
    """
    check_settings(settings)
    key = _read_key(settings)
    dspy = import_dspy()
    options: dict[str, Any] = {
        "model": f"{PREFIX[settings.provider]}/{settings.model}",
        "temperature": settings.temperature,
        "max_tokens": settings.max_tokens,
        "cache": False,
        "num_retries": 0,
    }
    if settings.provider == "bedrock":
        options["engine"] = ConverseEngine.connect(
            profile=settings.profile,
            region=settings.region,
            endpoint_url=settings.endpoint_url,
            timeout_s=settings.timeout_s,
            connect_timeout_s=settings.connect_timeout_s,
            num_connections=settings.num_in_flight,
        )
    else:
        wait = dict.fromkeys(("read", "write", "pool"), settings.timeout_s)
        timeout = SimpleNamespace(connect=settings.connect_timeout_s, **wait)
        options |= {"engine": "lm15", "api_key": key, "timeout": timeout}
        if settings.endpoint_url:
            options["api_base"] = settings.endpoint_url.rstrip("/")
    kind = _metered(dspy)
    try:
        return kind(**options)
    except dspy.LMConfigurationError:  # a reasoning model, which takes neither setting
        budget = max(REASONING_MIN_TOKENS, settings.max_tokens)
        return kind(**(options | {"temperature": None, "max_tokens": budget}))


def host_of(settings: ProviderSettings) -> str:
    """Name of the machine that pictures are sent to."""
    if settings.endpoint_url:
        return urlsplit(settings.endpoint_url).hostname or ""
    if settings.provider == "bedrock":
        return f"bedrock-runtime.{settings.region}.amazonaws.com"
    return OWN_HOST[settings.provider]


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


def credential_name(settings: ProviderSettings) -> str:
    """Source of the provider's credential, for error messages."""
    if settings.provider == "bedrock":
        return f"profile {settings.profile}" if settings.profile else "the AWS credentials"
    return KEY_VARIABLE.get(settings.provider, LOCAL_KEY_VARIABLE)


def check_settings(settings: ProviderSettings) -> None:
    """Refuse settings that cannot work (`UserError`)."""
    name, url = settings.provider, settings.endpoint_url
    if name not in PREFIX:
        raise UserError(f"captioning.providers: expected one of {', '.join(PREFIX)}, got {name!r}")
    if not settings.model:
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


def _read_key(settings: ProviderSettings) -> str | None:
    """The key from the environment; Bedrock's are found by boto3."""
    if settings.provider == "bedrock":
        return None
    if settings.provider == "local":
        return os.environ.get(LOCAL_KEY_VARIABLE) or "none"
    variable = KEY_VARIABLE[settings.provider]
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(
            f"caption provider {settings.provider} needs a key in the environment variable "
            f"{variable}, which is not set; put it in .env or leave {settings.provider} out of "
            "captioning.providers"
        )
    return key


def _metered(dspy: Any) -> type:
    """An LM that remembers what its calls cost and not what was said: pictures are large."""

    class MeteredLM(dspy.LM):
        def update_history(self, entry: dict[str, Any]) -> None:
            response = entry["response"]  # a dspy.lm15.Response
            said_no = [part.text for part in response.message.parts if part.type == "refusal"]
            self.history.append(
                {
                    "usage": entry["usage"],
                    "cost": entry["cost"],
                    "refusal": " ".join(said_no) or None,
                    "is_filtered": response.finish_reason == "content_filter",
                    "is_cut": response.finish_reason == "length",
                }
            )

    return MeteredLM
