"""A Salesforce org: sessions, queries, collections and bulk jobs of its contacts."""
