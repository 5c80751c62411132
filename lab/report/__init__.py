"""Output for people: report.html, Markdown, the terminal's table, figures, and pages of the documentation."""
