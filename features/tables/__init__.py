"""Plant files in, the contract, the quality report: the only room of the features that knows pandas."""
