"""Which test files are marked as fast."""

# The heart, for `-m fast`, with the processor seconds that each needs after pytest has started, measured one by one.
FAST = {
    "rules/test_rules_language.py": 4,
    "rules/test_rules_patterns.py": 1,
    "rules/test_rules_guide.py": 1,
    "campaigns/test_approvals.py": 1,
    "campaigns/test_audience.py": 1,
    "campaigns/test_campaign_files.py": 2,
    "campaigns/test_campaign_life.py": 1,
    "campaigns/test_campaign_machine.py": 1,
    "campaigns/test_code_files.py": 3,
    "campaigns/test_contact_policy.py": 5,
    "campaigns/test_life_of_every_state.py": 1,
    "campaigns/test_moves.py": 1,
    "campaigns/test_policy_both_ways.py": 12,
    "campaigns/test_reasons.py": 1,
    "campaigns/test_schedule.py": 1,
    "delivery/test_delivery_machine.py": 1,
    "workspace/test_decisions.py": 8,
    "workspace/test_approved_as_seen.py": 10,
    "warehouse/test_warehouse_checks.py": 13,
    "warehouse/test_warehouse_damage.py": 11,
}
FAST_BUDGET_S = 150  # of two cores in two minutes, less what their start and a modelled workspace each take
