"""Reads what a model holds after each token of a text, for inspection.

The graph for it is beside those that answer and opened when it is first asked, so that a model
whose states no request asks for takes no more memory.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from service.arrays import FloatArray
from service.engine.batch import pad_rows
from service.engine.runtime.session import Session


class StatesSession:
    """The states of one model; owned by one thread.

    Args:
        open_graph: opens the graph: (input_ids, lengths, first states) to `<layer>.<value>`.
        first: the states before the first token, (L, 1, H) by their names, if the graph takes any.
        conditioner: graph from features to those; None if the model takes no condition.
    """

    def __init__(
        self,
        open_graph: Callable[[], Session],
        first: Mapping[str, FloatArray],
        conditioner: Session | None = None,
    ) -> None:
        self._open_graph, self._first, self._conditioner = open_graph, first, conditioner
        self._session: Session | None = None

    def read(
        self, input_ids: Sequence[int], features: Sequence[float] | None = None
    ) -> dict[str, FloatArray]:
        """The states after each of T tokens: (T, H) float32 by `<layer>.<value>`.

        Args:
            input_ids: of one text.
            features: its condition, for a model that takes one.

        Raises:
            ArtefactError: the graph cannot be opened.
            InferenceFailed: the runtime refused or broke.
        """
        if self._session is None:
            self._session = self._open_graph()
        feeds = pad_rows([input_ids], pad_id=0).feeds
        if self._conditioner is not None:
            feeds |= self._conditioner.run({"features": np.array([features], np.float32)})
        else:
            feeds |= self._first
        outputs = self._session.run(feeds)
        # a tagger that looks ahead reads on beyond the text
        return {name: array[0, : len(input_ids)] for name, array in outputs.items()}
