"""What the codes of school diplomas say: their level, and the sector they train for.

A CFD of eight characters is a kind of diploma (three: ``500`` is a CAP, ``400`` a bac pro, ``320`` a BTS), the NSF of its
speciality (three: ``221`` food and cooking) and an order number (two). A MEFSTAT11 of eleven begins with the kind of class and
ends like the CFD of the diploma that the class prepares. CertifInfo gives school diplomas a Formacode.
"""

from __future__ import annotations

import pandas as pd

LEVELS = {"5": "3", "4": "4", "3": "5"}
_OF_ITS_OWN = "0"  # mentions complémentaires, of level 3 or 4
_CFD, _KIND, _CLASS = 8, 3, 4
_CODES = ("Code_Scolarité", "Code_Ancien_Scolarité")


def list_diplomas(certifications: pd.DataFrame) -> pd.DataFrame:
    """Link the school diplomas of levels 3 to 5 to sectors. One row per diploma (CFD), sector and level.

    ``certifications`` counts those of CertifInfo that link them: a former diploma counts as the ones that took its place do.
    """
    named = certifications[certifications["Code_FormaCode"] != ""]
    both = pd.concat([named.assign(diploma=named[column]) for column in _CODES], ignore_index=True)
    rows = both[both["diploma"].str.len() == _CFD]
    first = rows["diploma"].str[0]
    level = first.map(LEVELS).mask(first == _OF_ITS_OWN, rows["Code_Niveau_Europeen"])
    linked = rows.assign(sector=rows["Code_FormaCode"].str[:_KIND], level=level)
    keys = ["diploma", "sector", "level"]
    counts = linked[linked["level"].isin([*LEVELS.values()])].groupby(keys, as_index=False).size()
    return counts.rename(columns={"size": "certifications"}).sort_values(keys)


def list_classes(classes: pd.DataFrame, diplomas: pd.DataFrame) -> pd.DataFrame:
    """Say which kinds of diploma the kinds of class prepare. One row per kind of class and of diploma."""
    coded = classes[classes["MEF_STAT_11"] != ""]
    pairs = pd.DataFrame({"class": coded["MEF_STAT_11"].str[:_CLASS], "kind": coded["FORMATION_DIPLOME"].str[:_KIND]})
    known = pairs[pairs["kind"].isin(diplomas["diploma"].str[:_KIND])]
    return known.drop_duplicates().sort_values(["class", "kind"])
