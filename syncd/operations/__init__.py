"""Operations other than a plain run: verify, link, rekey, explain, doctor."""
