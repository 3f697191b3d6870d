"""What `syncd init` proposes: the columns of an MIS's tables matched to OneFile's fields."""
