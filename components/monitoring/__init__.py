"""What watches the platform, as pure functions and data: scrapes, rules, dashboards."""
