"""The catalogue of training: one export in LHEO 2.2, of funded sessions and of others on the market."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pandas as pd

from features import facts
from needs.twin.actions import action_table
from needs.twin.offers import Commune
from needs.twin.places import places_in
from needs.twin.purchases import WEEK_HOURS, draw_lines
from needs.twin.raw import rows_of
from needs.twin.world import World

OPEN_MONTHS = 9
CLOSED = 0.09
_PERMANENT = 0.08
_OLD_LEVELS = {1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 8}
_PAID_BY_TRAINEE = "10"
_SEATS_IN = ("recrutement", "cycle", "financeur")


def draw_catalogue(world: World, sessions: pd.DataFrame, prescriptions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """List what is on offer at ``as_of`` in some places: sessions about to start, some just started. One row per session."""
    rows = sessions[coming(world, sessions["starts"], days_before=60)].reset_index(drop=True)
    held = prescriptions[prescriptions["status"].isin(["prescrit", "entre"])].groupby("session").size()
    seats = (rows["places"] - rows["session"].map(held).fillna(0)).clip(lower=0).astype(int)
    draw = rng.random(len(rows))
    shut = (seats == 0) | (rows["starts"] <= world.as_of) | (draw < CLOSED * 0.7)
    state = np.where(shut, "2", np.where(draw < CLOSED, "3", np.where(draw < 0.8, "1", "")))
    named = facts.publics().query("public != ''").sort_values("code").drop_duplicates("public", keep="last")
    codes = named.set_index("public")["code"]
    return rows.assign(
        seats=seats,
        state=state,
        permanent=rng.random(len(rows)) < _PERMANENT,
        public_code=rows["public"].map(codes).fillna(codes["tout_public"]),
        binds=(rng.random(len(rows)) < 0.35) & rows["entry_level"].notna(),
    )


def coming(world: World, starts: pd.Series[pd.Timestamp], *, days_before: int = 0) -> pd.Series[bool]:
    """Say which sessions a catalogue of ``as_of`` lists: those of the next nine months, and some days back."""
    end = world.as_of + pd.DateOffset(months=OPEN_MONTHS)
    listed: pd.Series[bool] = (starts > world.as_of - pd.Timedelta(days=days_before)) & (starts <= end)
    return listed


def draw_unfunded(world: World, sessions: pd.DataFrame) -> pd.DataFrame:
    """Draw sessions that no lot of the Region pays for, to complete the catalogue. One row per session, two per course."""
    count = max(0, round(world.scale.open_sessions / (1 - CLOSED)) - int(coming(world, sessions["starts"]).sum()))
    rng = world.rng("catalogue")
    lines = draw_lines(world, max(1, -(-count // 2)), "market")
    rows = lines.loc[lines.index.repeat(2)].head(count).reset_index()
    size = len(rows)
    share = world.atoms["population"].to_numpy() / world.atoms["population"].sum()
    place = places_in(world.communes, rng.choice(len(share), size, p=share), rng, power=1.6)
    starts = world.as_of + pd.to_timedelta(rng.integers(5, OPEN_MONTHS * 30, size), unit="D")
    days = np.maximum(3, (rows["centre_hours"] + rows["company_hours"]) / WEEK_HOURS * 7).round().astype(int)
    number = pd.Series(np.arange(size)).astype("str").str.zfill(6)
    return rows.assign(
        lot="M" + rows["index"].astype("str").str.zfill(5),
        session="M" + number,
        lheo="44_SE_M" + number,
        funders=rng.choice(["16:1.0", "4:1.0", ""], size, p=[0.5, 0.2, 0.3]),
        provider=[f"{91_000_000_000_000 + 7_654_321 * int(k % 97):014d}" for k in rows["index"]],
        starts=starts,
        ends=starts + pd.to_timedelta(days, unit="D"),
        place=place,
        atom=world.communes["atom"].to_numpy()[place],
        places=rows["group"],
        lot_places=rows["group"],
        cost_eur=rows["group_hour_eur"] * rows["centre_hours"],
        sessions=1,
        load=0.0,
    ).drop(columns="index")


class Session(NamedTuple):
    """One session of the catalogue, about to be written."""

    lot: str
    place: int
    lheo: str
    action_type: str
    formacode: str
    certifinfo: str
    rncp: str
    title: str
    occupations: str
    entry_level: int
    exit_level: int
    public_code: str
    binds: bool
    permanent: bool
    starts: pd.Timestamp
    ends: pd.Timestamp
    state: str
    seats: int
    funders: str
    cost_eur: float
    sessions: int
    places: int
    centre_hours: float
    company_hours: float
    provider: str


def catalogue_lines(rows: pd.DataFrame, world: World) -> Iterator[str]:
    """Write the export, formation by formation: one per lot, an action per place, a session per row."""
    objectives = action_table()["objective"]
    places = list(rows_of(world.communes, Commune, Commune._fields))
    known = rows.assign(entry_level=rows["entry_level"].fillna(0), exit_level=rows["exit_level"].fillna(0))
    known = known.sort_values(["lot", "place", "lheo"], kind="stable")
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<lheo xmlns="http://www.lheo.org/2.2">\n<offres>\n'
    for _, of_lot in groupby(rows_of(known, Session, Session._fields), key=lambda row: row.lot):
        sessions = list(of_lot)
        yield _formation(sessions[0], str(objectives[sessions[0].action_type]))
        for place, of_place in groupby(sessions, key=lambda row: row.place):
            yield _action(list(of_place), places[place])
        yield _provider(sessions[0].provider)
    yield f'</offres>\n<extras info="FLUX-CARIF">\n<extra info="date-export">{world.as_of:%Y%m%d}</extra>\n</extras>\n</lheo>\n'


def _formation(row: Session, objective: str) -> str:
    european = row.lot[-1] in "02468"  # publishers differ: half of the formations write the European levels, 11 to 18
    occupations = "".join(_tag("code-ROME", code) for code in row.occupations.split("|")[:5] if code)
    codes = [("code-RNCP", row.rncp), ("code-CERTIFINFO", row.certifinfo)]
    named = "".join(_tag(name, code) for name, code in codes if code)
    return (
        f"<formation numero={quoteattr('44_FO_' + row.lot)}>\n<domaine-formation>\n"
        f'<code-FORMACODE ref="V14" tag="principal">{row.formacode}</code-FORMACODE>\n{occupations}</domaine-formation>\n'
        + _tag("intitule-formation", escape(row.title))
        + _tag("objectif-formation", escape(row.title))
        + _tag("resultats-attendus", "-")
        + _tag("contenu-formation", "-")
        + _tag("certifiante", int(bool(row.certifinfo)))
        + _tag("parcours-de-formation", 4)
        + _tag("code-niveau-entree", _level(row.entry_level, european=european))
        + _tag("objectif-general-formation", objective)
        + (_tag("certification", "\n" + named) if named else "")
        + _tag("code-niveau-sortie", _level(row.exit_level, european=european))
    )


def _tag(name: str, content: object) -> str:
    return f"<{name}>{content}</{name}>\n"


def _level(level: int, *, european: bool) -> int:
    if not level:
        return 0
    return level + 10 if european else _OLD_LEVELS[level]


def _action(rows: list[Session], place: Commune) -> str:
    first = rows[0]
    seats_in = _SEATS_IN[first.place % len(_SEATS_IN)]
    where = _tag("lieu-de-formation", _tag("coordonnees", _address(place, geolocated=True)))
    return (
        f"<action numero={quoteattr(f'44_AC_{first.lot}_{first.place}')}>\n"
        + _tag("rythme-formation", "Temps plein")
        + f'<code-public-vise ref="V14">{first.public_code}</code-public-vise>\n'
        + _tag("niveau-entree-obligatoire", int(first.binds))
        + _tag("modalites-alternance", "-")
        + _tag("modalites-enseignement", 0)
        + _tag("conditions-specifiques", "-")
        + _tag("prise-en-charge-frais-possible", 1)
        + where
        + _tag("modalites-entrees-sorties", int(first.permanent))
        + "".join(_session(row, place, seats_in=seats_in, permanent=first.permanent) for row in rows)
        + _price_and_hours(first)
        + _funders(first, sum(row.seats for row in rows) if seats_in == "financeur" else None)
        + "</action>\n"
    )


def _address(place: Commune, *, geolocated: bool = False) -> str:
    where = _tag("latitude", place.latitude) + _tag("longitude", place.longitude)
    number = place.department[1:]
    return _tag(
        "adresse",
        _tag("ligne", "-")
        + _tag("codepostal", f"{number}000")
        + _tag("ville", escape(place.name))
        + _tag("departement", number)
        + _tag("code-INSEE-commune", place.commune[1:])
        + _tag("region", 44)
        + _tag("pays", "FR")
        + (_tag("geolocalisation", where) if geolocated else ""),
    )


def _session(row: Session, place: Commune, *, seats_in: str, permanent: bool) -> str:
    start, end = ("00000000", "99999999") if permanent else (f"{row.starts:%Y%m%d}", f"{row.ends:%Y%m%d}")
    held = {
        "recrutement": _tag("recrutement", _tag("modalite-recrutement", 1) + _tag("nb-places", row.seats)),
        "cycle": _tag("cycle", _tag("type-cycle", 1) + _tag("capacite-cumulee", row.seats)),
        "financeur": "",
    }
    return (
        f"<session numero={quoteattr(row.lheo)}>\n"
        + _tag("periode", _tag("debut", start) + _tag("fin", end))
        + _tag("adresse-inscription", _address(place))
        + (_tag("etat-recrutement", row.state) if row.state else "")
        + held[seats_in]
        + "</session>\n"
    )


def _price_and_hours(row: Session) -> str:
    return (
        _tag("prix-total-TTC", f"{row.cost_eur / row.sessions / row.places:.2f}")
        + _tag("nombre-heures-centre", int(row.centre_hours))
        + _tag("nombre-heures-entreprise", int(row.company_hours))
        + _tag("nombre-heures-total", int(row.centre_hours + row.company_hours))
    )


def _funders(row: Session, places: int | None) -> str:
    """Name who pays; the first funder carries the places, where that is how this publisher gives them."""
    codes = [part.split(":")[0] for part in row.funders.split("|") if part] or [_PAID_BY_TRAINEE]
    paid = [_tag("nb-places-financees", places) if places is not None and k == 0 else "" for k in range(len(codes))]
    both = zip(codes, paid, strict=True)
    return "".join(_tag("organisme-financeur", _tag("code-financeur", code) + held) for code, held in both)


def _provider(siret: str) -> str:
    return (
        _tag(
            "organisme-formation-responsable",
            _tag("numero-activite", "99999999999")
            + _tag("SIRET-organisme-formation", _tag("SIRET", siret))
            + _tag("nom-organisme", f"Organisme {siret[-6:]}")
            + _tag("raison-sociale", "-"),
        )
        + "</formation>\n"
    )
