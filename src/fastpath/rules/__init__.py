"""Suricata's rule language: text -> AST -> plan -> compiled database."""
from .ruleset import RuleSet

__all__ = ["RuleSet"]
