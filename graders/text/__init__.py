"""Words and spellings that readers share: normal forms, languages, truncated sentences."""
