"""The interfaces of other libraries over embrow, for moving over from them."""
