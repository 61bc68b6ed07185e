"""Students: networks trained from scratch on a small set of images and tested on the real test images."""
