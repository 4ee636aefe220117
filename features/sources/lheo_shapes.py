"""What is read in one formation of LHEO 2.x, or in one resume of its index, and where it stands.

The shapes name every element that is read (LHEO 2.3, and what 2.2 calls the same); all others are passed over. Names are
local: publishers use different namespaces, one within a formation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias, cast

from lxml import etree

FORMATION, RESUME = "formation", "resume-offre"
EXTRA = "extra:"
MODULE_KINDS = ("module", "obligatoire", "personnalisable", "inconnu", "prerequis")
_MODULE_TYPES = {"1": "obligatoire", "2": "personnalisable"}

Element: TypeAlias = etree._Element
Found: TypeAlias = "defaultdict[str, list[str]]"
Shape: TypeAlias = "dict[str, str | Shape | Callable[[Element], str]]"
"""What to read among the children of an element: the field a text goes to, told at once or by the element, or a shape below."""


def _principal(code: Element) -> str:
    return "principal" if code.get("tag") == "principal" else "formacodes"


def _kind_of_module(reference: Element) -> str:
    kind = cast(Element, reference.getparent()).findtext(reference.tag.replace("reference-module", "type-module")) or ""
    return _MODULE_TYPES.get(kind.strip(), "inconnu")


def extra_name(extra: Element) -> str:
    """Name an extra by what it says to be: ``DATE EXPORT ONISEP`` is ``extra:date-export-onisep``."""
    return EXTRA + extra.get("info", "").strip().lower().replace(" ", "-")


_DOMAIN: Shape = {"code-FORMACODE": _principal, "code-NSF": "nsf", "code-ROME": "occupations"}
_CERTIFICATION: Shape = {"code-RNCP": "rncps", "code-CERTIFINFO": "certifinfos", "code-RS": "rs"}
_COURSE: Shape = {
    "domaine-formation": _DOMAIN,
    "intitule-formation": "title",
    "certifiante": "certifying",
    "code-niveau-entree": "entry_level",
    "objectif-general-formation": "objective",
    "certification": _CERTIFICATION,
    "code-niveau-sortie": "exit_level",
    "organisme-formation-responsable": {"SIRET-organisme-formation": {"SIRET": "provider"}},
    "identifiant-module": "module",
    "sous-modules": {"sous-module": {"reference-module": _kind_of_module}},
    "modules-prerequis": {"reference-module": "prerequis"},
    "extras": {"extra": extra_name},
}
_RESUME: Shape = {
    "domaine-formation": _DOMAIN,
    "intitule-formation": "title",
    "SIRET": "provider",
    "code-INSEE-commune": "commune",
    "certifiante": "certifying",
    "code-niveau-entree": "entry_level",
    "modalites-enseignement": "teaching",
    "code-public-vise": "publics",
    "nombre-heures-total": "hours",
    "certification": _CERTIFICATION,
    "extras": {"extra": extra_name},  # geolocalisation, complements (exit level) and lheo (agreement) name their extras so
}
_ACTION: Shape = {
    "code-public-vise": "publics",
    "niveau-entree-obligatoire": "binds",
    "modalites-enseignement": "teaching",
    "modalites-entrees-sorties": "permanent",
    "nombre-heures-total": "hours",
    "nombre-heures-centre": "hours_centre",
    "nombre-heures-entreprise": "hours_company",
    "prix-total-TTC": "price_eur",
    "conventionnement": "under_agreement",
    "organisme-financeur": {"code-financeur": "funders", "nb-places-financees": "financed"},
}
_WHERE: Shape = {"latitude": "latitude", "longitude": "longitude"}
_PLACE: Shape = {"coordonnees": {"adresse": {"code-INSEE-commune": "commune", "geolocalisation": _WHERE}}}
_SESSION: Shape = {
    "periode": {"debut": "starts", "fin": "ends"},
    "etat-recrutement": "state",
    "recrutement": {"nb-places": "seats"},
    "cycle": {"capacite-cumulee": "capacity"},
    "blocs-competences": {"bloc-competences": {"code-bloc": "blocks"}},
}


class Names(NamedTuple):
    """The shapes and names as one namespace spells them."""

    course: Shape
    resume: Shape
    in_action: Shape
    in_place: Shape
    in_session: Shape
    action: str
    place: str
    session: str


@lru_cache(maxsize=16)
def names_in(space: str) -> Names:
    """Give the names of a namespace, which is written ``{…}`` or is empty."""
    return Names(
        course=_spelt(_COURSE, space),
        resume=_spelt(_RESUME, space),
        in_action=_spelt(_ACTION, space),
        in_place=_spelt(_PLACE, space),
        in_session=_spelt(_SESSION, space),
        action=f"{space}action",
        place=f"{space}lieu-de-formation",
        session=f"{space}session",
    )


def _spelt(shape: Shape, space: str) -> Shape:
    return {space + name: _spelt(below, space) if isinstance(below, dict) else below for name, below in shape.items()}


def gather(element: Element, shape: Shape, found: Found) -> Found:
    """Collect the texts that a shape names, in the order of the document."""
    for child in element:
        field = shape.get(child.tag)
        if field is None:
            continue
        if isinstance(field, dict):
            gather(child, field, found)
            continue
        text = child.text
        if text and (text := text.strip()):
            found[field if isinstance(field, str) else field(child)].append(text)
    return found
