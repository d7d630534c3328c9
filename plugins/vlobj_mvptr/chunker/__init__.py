"""Objects, attributes and relations of a caption by rule: closed classes of words, endings, places in the sentence."""
