"""How a soft label is written in few bytes, and how it is read again.

Three forms of K logits a label:

- ``float32`` and ``float16``: the logits as they are.
- ``uint8``: the highest logit ``top`` and a ``scale``, both float16, and one 8-bit code c a class:
  ``logit = top - scale * c``.

With ``top_k`` = k < K only the k highest logits are kept, with their classes. The other K - k classes get one logit,
``rest``, chosen so that their probability together is the teacher's at the temperature T of the training:
``rest = T * log(mean(exp(logit / T)))`` over them. The float forms store ``rest`` beside the k logits. In 8 bits the
scale is ``(top - rest) / 255``, so ``rest`` has code 255 and is not stored; nor is the code 0 of the highest logit.

Error of ``uint8``: up to a shift that all classes share, a kept logit is off by ``scale / 2`` at most, so its log
probability at T by ``scale / T = (top - rest) / (255 T)`` at most. What the shared rest costs depends on the teacher;
the probability of each of these classes is replaced by their mean.

With ``directions`` = r a label is its mean over the classes (``middle``) and r numbers, its places along the r
orthonormal directions in which the teacher's labels differ most, around their mean: a :class:`Basis` that one store
has once. In 8 bits ``places = scale * (codes - 128)``, each off by ``scale / 2`` at most; what lies outside of the r
directions is lost. Logits are a linear map of a network's features, so few directions say much: measured with 100
classes, of the labels' divergence from uniform ones 16 directions lose 1 % and 8 classes half, in 20 and 19 bytes.

Shapes: B labels, K classes, k classes kept, r directions.

Source: SRe2L's and FKD's stored labels (float16, all classes; FKD also the most probable ones with the rest shared
evenly); the form in 8 bits and the directions are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from delt_engine.config.students import RelabelConfig

Spec = dict[str, tuple[np.dtype, tuple[int, ...]]]
"""Name of each array, its number format and its shape."""

_CODES = 255
_HALF_CODES = 127
_HALF_MAX = 65504.0  # the largest float16


@dataclass(frozen=True, eq=False)
class Basis:
    """Where labels lie, and the directions in which they differ most.

    Attributes:
        centre: float32 (K,), the mean label; its own mean is 0.
        directions: float32 (r, K), orthonormal, the one of most variance first.
    """

    centre: Tensor
    directions: Tensor

    @classmethod
    def of(cls, logits: Tensor, count: int) -> Basis:
        """Return the ``count`` directions of most variance of labels, float (B, K)."""
        labels = logits.double() - logits.double().mean(dim=1, keepdim=True)
        centre = labels.mean(dim=0)
        _, vectors = torch.linalg.eigh((labels - centre).T @ (labels - centre))  # ascending
        return cls(centre.float(), vectors.T.flip(0)[:count].float().contiguous())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return both as arrays, as :func:`basis_spec` says."""
        return {"centre": self.centre.numpy(), "directions": self.directions.numpy()}


def basis_spec(num_classes: int, count: int) -> Spec:
    """Return the arrays of a basis of ``count`` directions."""
    return {
        "centre": (np.dtype(np.float32), (num_classes,)),
        "directions": (np.dtype(np.float32), (count, num_classes)),
    }


@dataclass(frozen=True)
class LabelCodec:
    """Writes and reads labels of one form.

    Attributes:
        form: ``float32``, ``float16`` or ``uint8``.
        num_classes: K.
        kept: k, or K where all are kept.
        temperature: T, at which the others' probability is kept.
        directions: r, or 0 where classes are kept.
        basis: of the store, with directions.
    """

    form: str
    num_classes: int
    kept: int
    temperature: float
    directions: int = 0
    basis: Basis | None = None

    @classmethod
    def of(cls, relabel: RelabelConfig, num_classes: int, temperature: float) -> LabelCodec:
        """Return the codec of some settings; ``top_k`` of 0, or of all classes and more, keeps all.

        There are no more directions than classes. The basis is to be added before labels are written or read.
        """
        kept = min(relabel.top_k or num_classes, num_classes)
        return cls(relabel.form, num_classes, kept, temperature, min(relabel.directions, num_classes))

    @property
    def keeps_all(self) -> bool:
        """Whether every class has its own value."""
        return self.kept == self.num_classes and not self.directions

    def spec(self, count: int) -> Spec:
        """Return the arrays that ``count`` labels take."""
        arrays: Spec = {}
        if self.directions:
            arrays["middle"] = (np.dtype(np.float32 if self.form == "float32" else np.float16), (count,))
            arrays["places"] = (np.dtype(self.form), (count, self.directions))
            return arrays | ({"scale": (np.dtype(np.float16), (count,))} if self.form == "uint8" else {})
        if not self.keeps_all:
            arrays["classes"] = (smallest_uint(self.num_classes - 1), (count, self.kept))
        if self.form == "uint8":
            arrays["codes"] = (np.dtype(np.uint8), (count, self.kept - (not self.keeps_all)))
            arrays["top"] = arrays["scale"] = (np.dtype(np.float16), (count,))
        else:
            arrays["logits"] = (np.dtype(self.form), (count, self.kept))
            if not self.keeps_all:
                arrays["rest"] = (np.dtype(self.form), (count,))
        return arrays

    def encode(self, logits: Tensor) -> dict[str, np.ndarray]:
        """Return the arrays of labels.

        Args:
            logits: float (B, K), on any device.
        """
        given = logits.detach().float().cpu()
        if self.directions:
            arrays = self._places(given)
            return {name: _cast(arrays[name], dtype) for name, (dtype, _) in self.spec(len(given)).items()}
        if self.keeps_all:
            values, arrays, lowest = given, {}, given.amin(dim=1)
        else:
            values, classes = given.topk(self.kept, dim=1)
            lowest = self._rest(given, classes)
            arrays = {"classes": classes.numpy(), "rest": lowest.numpy()}
        if self.form == "uint8":
            arrays |= self._codes(values, lowest)
            arrays["codes"] = arrays["codes"][:, 0 if self.keeps_all else 1 :]
        else:
            arrays["logits"] = values.numpy()
        return {name: _cast(arrays[name], dtype) for name, (dtype, _) in self.spec(len(given)).items()}

    def decode(self, arrays: Mapping[str, np.ndarray]) -> Tensor:
        """Return logits float32 (B, K) on the CPU."""
        if self.directions:
            return self._from_places(arrays)
        if self.form == "uint8":
            top, scale = (torch.from_numpy(arrays[name].astype(np.float32)) for name in ("top", "scale"))
            codes = torch.from_numpy(arrays["codes"].astype(np.float32))
            if not self.keeps_all:
                codes = torch.cat((torch.zeros(len(codes), 1), codes), dim=1)
            values, rest = top[:, None] - scale[:, None] * codes, top - scale * _CODES
        else:
            values = torch.from_numpy(arrays["logits"].astype(np.float32))
            rest = None if self.keeps_all else torch.from_numpy(arrays["rest"].astype(np.float32))
        if self.keeps_all:
            return values
        full = rest[:, None].expand(-1, self.num_classes).clone()
        return full.scatter_(1, torch.from_numpy(arrays["classes"].astype(np.int64)), values)

    def _rest(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Return the logit that gives the classes that are not kept their probability together, (B,)."""
        others = (logits.double() / self.temperature).scatter(1, classes, -math.inf)
        mean = others.logsumexp(dim=1) - math.log(self.num_classes - self.kept)
        return (mean * self.temperature).float()

    def _places(self, logits: Tensor) -> dict[str, np.ndarray]:
        """Return the places along the directions, in 8 bits as codes around 128."""
        middle = logits.mean(dim=1, keepdim=True)
        places = (logits - middle - self.basis.centre) @ self.basis.directions.T
        arrays = {"middle": middle[:, 0].numpy(), "places": places.numpy()}
        if self.form == "uint8":
            scale = (places.abs().amax(dim=1) / _HALF_CODES).to(torch.float16)
            step = scale.float().clamp(min=torch.finfo(torch.float32).tiny)[:, None]
            codes = (places / step).round().clamp(-_HALF_CODES, _HALF_CODES) + _HALF_CODES + 1
            arrays |= {"places": codes.numpy(), "scale": scale.numpy()}
        return arrays

    def _from_places(self, arrays: Mapping[str, np.ndarray]) -> Tensor:
        middle, places = (torch.from_numpy(arrays[name].astype(np.float32)) for name in ("middle", "places"))
        if self.form == "uint8":
            places = (places - _HALF_CODES - 1) * torch.from_numpy(arrays["scale"].astype(np.float32))[:, None]
        return places @ self.basis.directions + self.basis.centre + middle[:, None]

    @staticmethod
    def _codes(values: Tensor, lowest: Tensor) -> dict[str, np.ndarray]:
        top = values.amax(dim=1)
        scale = ((top - lowest) / _CODES).to(torch.float16)
        step = scale.float().clamp(min=torch.finfo(torch.float32).tiny)
        codes = ((top[:, None] - values) / step[:, None]).round().clamp(0, _CODES)
        return {"codes": codes.numpy(), "top": top.numpy(), "scale": scale.numpy()}


def smallest_uint(highest: int) -> np.dtype:
    """Return the smallest unsigned format that holds 0 to ``highest``.

    >>> smallest_uint(255), smallest_uint(256)
    (dtype('uint8'), dtype('uint16'))
    """
    return np.min_scalar_type(highest)


def _cast(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype == np.float16:
        array = array.clip(-_HALF_MAX, _HALF_MAX)
    return np.ascontiguousarray(array.astype(dtype))
