"""Folders of clips and pairs with the configuration files of other trainers."""
