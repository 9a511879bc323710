"""Integer codes to bytes and back."""
