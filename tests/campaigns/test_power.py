"""What a campaign's test can detect, by hand and by the textbook."""

from __future__ import annotations

import pytest

from optinb.campaigns.power import Power, customers_needed, power_of, smallest_effect


def test_the_smallest_effect_is_the_textbooks() -> None:
    # Fleiss, Levin, Paik (2003), table A.4: shares of 0.10 and 0.20 at 5 % and 80 % need 199 in each group.
    effect = smallest_effect(recipients=199, control=199, base_rate=0.10)
    assert effect == pytest.approx(0.10, abs=0.001)


def test_a_group_in_which_nobody_buys_anyway_does_not_see_every_effect() -> None:
    effect = smallest_effect(recipients=1_000, control=100, base_rate=0.0)
    # By hand: 1.96 * sqrt(0.0431 * 0.9569 * (1/1000 + 1/100)) + 0.8416 * sqrt(0.0474 * 0.9526 / 1000) = 0.0474.
    assert effect == pytest.approx(0.0474, abs=0.0002)
    assert "this test is weak" in (
        power_of(recipients=1_000, control=100, base_rate=0.0, measurement_days=14).warning or ""
    )


def test_low_power_is_said_before_approval() -> None:
    good = power_of(recipients=90_000, control=10_000, base_rate=0.05, measurement_days=14)
    assert good.warning is None
    assert good.smallest_effect == pytest.approx(0.0066, abs=0.0003)
    assert "this test is weak" in (
        power_of(recipients=900, control=100, base_rate=0.05, measurement_days=14).warning or ""
    )
    assert "no effect" in (power_of(recipients=9, control=0, base_rate=0.05, measurement_days=14).warning or "")


def test_a_warning_says_how_much_would_be_found_and_what_helps() -> None:
    found = power_of(recipients=900, control=100, base_rate=0.05, measurement_days=14)
    effect = found.smallest_effect
    # By hand: 1.96 * sqrt(0.1315 * 0.8685 * (1/900 + 1/100)) + 0.8416 * sqrt(0.1406 * 0.8594 / 900 + 0.05 * 0.95 / 100)
    assert effect == pytest.approx(0.0906, abs=0.0001)
    assert found == Power(
        recipients=900,
        control=100,
        measurement_days=14,
        base_rate=0.05,
        smallest_effect=effect,
        warning=(
            "this test is weak: it would only find a rise by 9.06 percentage points (181% of the 5.00% who buy "
            "anyway); a larger target group, a larger control group or more days measured find smaller ones"
        ),
        # (1.96 * sqrt(0.0515 / (0.9 * 0.1)) + 0.8416 * sqrt(0.055 * 0.945 / 0.9 + 0.05 * 0.95 / 0.1)) ** 2 / 0.005 ** 2
        needed=175_955,
    )
    assert found.advice == "to see a rise by a tenth takes 175,955 customers with 10% held out, where there are 1,000"
    nobody_buys = power_of(recipients=900, control=100, base_rate=0.0, measurement_days=14).warning or ""
    assert "percentage points (above the 0.00% who buy anyway)" in nobody_buys


def test_a_fifth_of_the_base_rate_is_what_a_test_must_see() -> None:
    def warned(recipients: int) -> bool:
        found = power_of(recipients=recipients, control=recipients, base_rate=0.05, measurement_days=14)
        assert found.smallest_effect is not None
        assert (found.warning is not None) == (found.smallest_effect > 0.01)
        return found.warning is not None

    assert warned(8_000)
    assert not warned(8_200)


@pytest.mark.parametrize(("recipients", "control"), [(1, 100), (100, 1), (0, 0)])
def test_a_group_of_one_measures_nothing(recipients: int, control: int) -> None:
    assert power_of(recipients=recipients, control=control, base_rate=0.05, measurement_days=14).warning == (
        "no effect can be measured: one of the groups is too small; make the control or the target group larger"
    )


def test_two_of_each_measure_only_what_no_rise_can_bring_and_where_everybody_buys_there_is_no_rise() -> None:
    assert smallest_effect(recipients=2, control=2_000, base_rate=0.05) is not None
    assert smallest_effect(recipients=2_000, control=2, base_rate=0.05) is not None
    assert smallest_effect(recipients=2, control=2, base_rate=0.5) is None
    assert smallest_effect(recipients=2_000, control=2_000, base_rate=1.0) is None


def test_the_size_that_is_needed_is_the_textbooks_and_the_inverse_of_what_is_seen() -> None:
    # the same table: 199 in each group
    assert customers_needed(0.10, control=0.5, rise=1.0) == pytest.approx(2 * 199, abs=2)
    for base_rate, control in ((0.05, 0.1), (0.3, 0.5), (0.02, 0.03)):
        needed = customers_needed(base_rate, control=control)
        assert needed is not None
        held_out = round(needed * control)
        effect = smallest_effect(recipients=needed - held_out, control=held_out, base_rate=base_rate)
        assert effect == pytest.approx(0.1 * base_rate, rel=0.001)
    assert customers_needed(0.0, control=0.1) is None and customers_needed(0.95, control=0.1) is None


def test_what_would_show_a_rise_by_a_tenth_is_advised() -> None:
    def advice(recipients: int, control: int, **rates: float) -> str | None:
        longer = {int(days.removeprefix("d")): rate for days, rate in rates.items()}
        found = power_of(recipients=recipients, control=control, base_rate=0.3, measurement_days=7, rates=longer)
        assert found.sees_a_tenth == (found.smallest_effect is not None and found.smallest_effect <= 0.03)
        return found.advice

    takes = "to see a rise by a tenth takes 21,063 customers with 10% held out, where there are"
    assert advice(900, 100) == f"{takes} 1,000"
    assert advice(9_000, 1_000) == f"{takes} 10,000, or 26% held out of those"
    assert advice(5_400, 600, d14=0.4, d21=0.6, d28=0.7) == f"{takes} 6,000, or 3 weeks of measuring"
    assert advice(20_700, 2_300) is None, "a tenth is just right"
    assert advice(20_000, 20_000) == "to see a rise by a tenth 5% held out would do"
    assert advice(900, 0) is None, "nothing is compared"
