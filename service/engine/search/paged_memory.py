"""What the decoder attends to, in pages: joining and leaving touch one sentence and no other."""

from collections.abc import Sequence

import numpy as np

from service.arrays import FloatArray, IntArray

PAGE_SIZE = 16
MIN_PAGES = 64


class PagedMemory:
    """Encoded sentences in pages of `PAGE_SIZE` positions; G pages are used.

    The used pages always come first in the pools, so that the decoder reads them in place. A page
    that is not full is zero from its sentence's end on, whatever it held before. Values have one
    column more than the encoder gave: one at tokens, by which the decoder sums its weights.
    """

    def __init__(self) -> None:
        self._drop_pools()
        self.clear()

    def clear(self) -> None:
        """Forgets all sentences; pools that had grown are given back."""
        self._num_pages = 0
        self._pages: dict[int, list[int]] = {}
        self._free_handles: list[int] = []
        if self.num_reserved > MIN_PAGES:
            self._drop_pools()

    @property
    def num_reserved(self) -> int:
        """Pages that there is room for before the pools grow."""
        return len(self._owners)

    @property
    def keys(self) -> FloatArray:
        """(G, A, PAGE_SIZE), a view; valid until the next `add` or `release`."""
        return self._keys[: self._num_pages]

    @property
    def values(self) -> FloatArray:
        """(G, PAGE_SIZE, M + 1), a view like `keys`."""
        return self._values[: self._num_pages]

    @property
    def owners(self) -> IntArray:
        """The handle of each page: (G), a view like `keys`."""
        return self._owners[: self._num_pages]

    def find_pages(self, handle: int) -> Sequence[int]:
        """Where a sentence lies now, from its beginning to its end."""
        return self._pages[handle]

    def add(self, keys: FloatArray, values: FloatArray, lengths: IntArray) -> list[int]:
        """Copies sentences in.

        Args:
            keys: (N, A, S).
            values: (N, S, M).
            lengths: (N); what lies beyond them is left out.

        Returns:
            A handle for each sentence: a number below the most there were at a time.
        """
        handles = []
        self._reserve(keys.shape[1], values.shape[2] + 1, int((-(-lengths // PAGE_SIZE)).sum()))
        for index, length in enumerate(lengths.tolist()):
            handle = self._free_handles.pop() if self._free_handles else len(self._pages)
            pages = self._pages[handle] = []
            for start in range(0, length, PAGE_SIZE):
                self._fill(keys[index, :, start:length], values[index, start:length], handle)
                pages.append(self._num_pages - 1)
            handles.append(handle)
        return handles

    def release(self, handle: int) -> None:
        """Frees the pages of a sentence; the last used pages move into the holes."""
        for hole in sorted(self._pages.pop(handle), reverse=True):
            last = self._num_pages = self._num_pages - 1
            if hole != last:
                self._keys[hole], self._values[hole] = self._keys[last], self._values[last]
                owner = self._owners[hole] = int(self._owners[last])
                moved = self._pages[owner]
                moved[moved.index(last)] = hole
        self._free_handles.append(handle)

    def _fill(self, keys: FloatArray, values: FloatArray, handle: int) -> None:
        """Takes the next page for the beginning of keys (A, S) and values (S, M)."""
        page = self._num_pages
        width = min(len(values), PAGE_SIZE)
        self._keys[page, :, :width] = keys[:, :width]
        self._keys[page, :, width:] = 0.0
        self._values[page, :width, :-1] = values[:width]
        self._values[page, :width, -1] = 1.0
        self._values[page, width:] = 0.0
        self._owners[page] = handle
        self._num_pages += 1

    def _reserve(self, attention_size: int, width: int, num_pages: int) -> None:
        """Makes room for more pages, at least twice what there was."""
        needed = self._num_pages + num_pages
        if needed <= self.num_reserved:
            return
        capacity = max(MIN_PAGES, 2 * self.num_reserved, needed)
        keys = np.zeros((capacity, attention_size, PAGE_SIZE), np.float32)
        values = np.zeros((capacity, PAGE_SIZE, width), np.float32)
        owners = np.zeros(capacity, np.int64)
        if self._num_pages:
            used = slice(self._num_pages)
            keys[used], values[used], owners[used] = self.keys, self.values, self.owners
        self._keys, self._values, self._owners = keys, values, owners

    def _drop_pools(self) -> None:
        self._keys = np.zeros((0, 0, PAGE_SIZE), np.float32)
        self._values = np.zeros((0, PAGE_SIZE, 0), np.float32)
        self._owners = np.zeros(0, np.int64)
