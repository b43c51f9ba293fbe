"""Wrong on purpose: functions that the checker must see through, by family; see ``registry``."""
