"""From records to results.json: rates, the criterion, conclusions and their wording. Reads no run folder."""
