"""Intervals, paired comparisons, misclassification and power: functions of counts and records."""
