"""Front ends: whatever stands between the stations and the mains, one file each."""
