"""Proposals of `syncd init`: the columns of an MIS's tables matched to OneFile's fields."""
