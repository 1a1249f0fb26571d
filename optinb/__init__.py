"""optinb: from customer tables to approved push campaigns, in notebooks."""
