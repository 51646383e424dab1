"""Salesforce through simple-salesforce."""

from blocks.crms.salesforce.block import Salesforce

__all__ = ["Salesforce"]
