"""Master weights in 32 bits and their moving average (EMA), whatever the base computes in.

Where the base computes in 16 bits its layers do so throughout, and what is learned is added to
32-bit masters that they are copied from: half the activations, and no cast at each layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class MasterWeights:
    """Trained weights of an adapter.

    Parameters
    ----------
    parameters : mapping of str to torch.nn.Parameter
        As the layers have them.
    dtype : torch.dtype
        That the layers compute in; the parameters are set to it.
    ema_decay : float
        Above 0 an average is kept: decay (1 + n) / (10 + n) at step n, up to this one.
    """

    def __init__(self, parameters: Mapping[str, Any], dtype: Any, ema_decay: float) -> None:
        import torch

        self.names, self.parameters = list(parameters), list(parameters.values())
        for parameter in self.parameters:
            parameter.data = parameter.data.float()
        self.masters = self.parameters
        if dtype != torch.float32:
            self.masters = [p.detach().clone().requires_grad_() for p in self.parameters]
            for parameter in self.parameters:
                parameter.data = parameter.data.to(dtype)
        self.average = None
        if ema_decay > 0:
            from diffusers.training_utils import EMAModel

            self.average = EMAModel(self.masters, decay=ema_decay, foreach=True)

    @property
    def is_lowered(self) -> bool:
        """Whether layers hold copies in fewer bits."""
        return self.masters is not self.parameters

    def take_gradients(self) -> None:
        """Add the layers' gradients to those of the masters, in 32 bits."""
        if not self.is_lowered:
            return
        for master, parameter in zip(self.masters, self.parameters, strict=True):
            if parameter.grad is not None:
                own = parameter.grad.float()
                master.grad = own if master.grad is None else master.grad.add_(own)
                parameter.grad = None

    def gradients(self) -> list[torch.Tensor]:
        """Gradients of the masters, to be averaged over processes."""
        return [m.grad for m in self.masters if m.grad is not None]

    def forget_gradients(self) -> None:
        """Drop the gradients of masters and layers."""
        for weight in (*self.masters, *self.parameters):
            weight.grad = None

    def moved(self) -> None:
        """Take note that the optimizer changed the masters."""
        if self.is_lowered:
            self._show([m.detach() for m in self.masters])
        if self.average is not None:
            self.average.step(self.masters)

    def final(self) -> dict[str, Any]:
        """Weights for an adapter written now: the average if there is one; 32 bits."""
        values = self.masters if self.average is None else self.average.shadow_params
        return dict(zip(self.names, (v.detach() for v in values), strict=True))

    @contextmanager
    def shown(self, *, in_full: bool = False) -> Iterator[None]:
        """The layers with the `final` weights, for a while; `in_full`: in 32 bits, to be saved."""
        import torch

        if self.average is None and not (self.is_lowered and in_full):
            yield
            return
        before = [p.data for p in self.parameters]
        for parameter, value in zip(self.parameters, self.final().values(), strict=True):
            dtype = torch.float32 if in_full else parameter.dtype
            parameter.data = value.to(dtype, copy=True)
        try:
            yield
        finally:
            for parameter, value in zip(self.parameters, before, strict=True):
                parameter.data = value

    def state(self) -> dict[str, Any]:
        """All that is needed to go on, copied."""
        masters = {
            n: m.detach().cpu().clone() for n, m in zip(self.names, self.masters, strict=True)
        }
        return {"weights": masters, "average": self.average and self.average.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        import torch

        with torch.no_grad():
            for name, master in zip(self.names, self.masters, strict=True):
                master.copy_(state["weights"][name])
        if self.is_lowered:
            self._show([m.detach() for m in self.masters])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
            self.average.to(device=self.masters[0].device)

    def _show(self, values: list[torch.Tensor]) -> None:
        """Copy values into the layers."""
        import torch

        with torch.no_grad():
            torch._foreach_copy_(self.parameters, values)  # pyright: ignore[reportPrivateImportUsage] no other name


def cast_base(family: Any, dtype: torch.dtype) -> Callable[[], None]:
    """Let a family's denoiser and text encoders compute in fewer bits; gives what undoes it.

    Parameters
    ----------
    family : Family
        One that was loaded in `dtype` stays as it is.
    dtype : torch.dtype
    """
    before = family.dtype
    if before == dtype:
        return lambda: None
    modules = (family.denoiser, *family.text_encoders.values())
    kept = [(w, w.data.cpu()) for m in modules for w in m.parameters() if w.is_floating_point()]
    for weight, _ in kept:
        weight.data = weight.data.to(dtype)
    family.dtype = dtype

    def put_back() -> None:
        for weight, value in kept:
            weight.data = value.to(weight.device)
        family.dtype = before

    return put_back
