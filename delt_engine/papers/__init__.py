"""What the papers print, and in what a measurement here differs from theirs."""
