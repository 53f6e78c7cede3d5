"""Real servers killed, stopped and cut off while people talk, and a checker that nothing is lost or doubled.

CHAOS_ROUNDS=50 python -m pytest tests/chaos   # two rounds of each kind by default
"""
