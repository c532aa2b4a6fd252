"""Closing the billing month: a schedule fires, every tenant is invoiced, two services hear of it.

Start reading at ``services.py``.
"""
