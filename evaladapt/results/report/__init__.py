"""One page that shows a run or a comparison: opens from disk, without a network, light or dark, on paper too."""
