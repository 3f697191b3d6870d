"""How commands print: text, HTML, CSV, dates, reports."""
