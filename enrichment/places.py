"""Codes of countries and states, found by the many names under which they go."""

import functools
import re
import unicodedata
from collections.abc import Mapping


@functools.lru_cache(maxsize=4096)
def country_code(name: str) -> str | None:
    """Return the ISO 3166-1 alpha-2 code of a country, given by code or by an English or its own name, or None."""
    return _COUNTRIES.get(_folded(name))


@functools.lru_cache(maxsize=4096)
def state_code(name: str, country: str | None) -> str:
    """
    Return a state's part of its ISO 3166-2 code where that is in use and sure, else the name as it is.

    Args:
        name: of the state, or its code.
        country: the code of its country; states of unknown countries keep their names, since Georgia is one of each.
    """
    return _STATES.get(country or "", {}).get(_folded(name), name)


def _folded(name: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    words = re.findall(r"[^\W_]+", plain.replace("'", "").replace("\u2019", "").replace(".", "").replace("&", " and "))
    words = ["saint" if word == "st" else word for word in words]
    return " ".join(words[1:] if words[:1] == ["the"] else words)


def _codes(table: str) -> Mapping[str, str]:
    rows = [row.strip().partition(" ") for row in table.split(";")]
    return {_folded(name): code for code, _, names in rows for name in (code, *names.split("|"))}


# A code and its names, by which it is found whatever the case, accents and punctuation. A name that two countries claim
# (Congo, Korea, Virgin Islands) isn't here: it isn't sure.
_COUNTRIES = _codes(
    """
AD Andorra; AE United Arab Emirates|UAE; AF Afghanistan; AG Antigua and Barbuda; AI Anguilla; AL Albania;
AM Armenia; AO Angola; AQ Antarctica; AR Argentina; AS American Samoa; AT Austria|Österreich; AU Australia;
AW Aruba; AX Åland Islands|Aland Islands; AZ Azerbaijan; BA Bosnia and Herzegovina|Bosnia; BB Barbados;
BD Bangladesh; BE Belgium; BF Burkina Faso; BG Bulgaria; BH Bahrain; BI Burundi; BJ Benin; BL Saint Barthélemy;
BM Bermuda; BN Brunei|Brunei Darussalam; BO Bolivia|Bolivia, Plurinational State of;
BQ Caribbean Netherlands|Bonaire, Sint Eustatius and Saba; BR Brazil|Brasil; BS Bahamas; BT Bhutan;
BV Bouvet Island; BW Botswana; BY Belarus; BZ Belize; CA Canada; CC Cocos Islands|Cocos (Keeling) Islands;
CD Democratic Republic of the Congo|DR Congo|Congo, Democratic Republic of the|Congo-Kinshasa;
CF Central African Republic; CG Republic of the Congo|Congo, Republic of the|Congo-Brazzaville;
CH Switzerland|Schweiz|Suisse; CI Côte d'Ivoire|Ivory Coast; CK Cook Islands; CL Chile; CM Cameroon;
CN China|People's Republic of China|Mainland China; CO Colombia; CR Costa Rica; CU Cuba; CV Cape Verde|Cabo Verde;
CW Curaçao; CX Christmas Island; CY Cyprus; CZ Czechia|Czech Republic; DE Germany|Deutschland; DJ Djibouti;
DK Denmark; DM Dominica; DO Dominican Republic; DZ Algeria; EC Ecuador; EE Estonia; EG Egypt; EH Western Sahara;
ER Eritrea; ES Spain|España; ET Ethiopia; FI Finland; FJ Fiji; FK Falkland Islands|Falkland Islands (Malvinas);
FM Micronesia|Micronesia, Federated States of|Federated States of Micronesia; FO Faroe Islands; FR France;
GA Gabon;
GB United Kingdom|UK|GBR|Great Britain|Britain|England|Scotland|Wales|Northern Ireland;
GD Grenada; GE Georgia; GF French Guiana; GG Guernsey; GH Ghana; GI Gibraltar; GL Greenland; GM Gambia; GN Guinea;
GP Guadeloupe; GQ Equatorial Guinea; GR Greece; GS South Georgia and the South Sandwich Islands; GT Guatemala;
GU Guam; GW Guinea-Bissau; GY Guyana; HK Hong Kong|Hong Kong SAR; HM Heard Island and McDonald Islands;
HN Honduras; HR Croatia; HT Haiti; HU Hungary; ID Indonesia; IE Ireland|Republic of Ireland; IL Israel;
IM Isle of Man; IN India; IO British Indian Ocean Territory; IQ Iraq; IR Iran|Iran, Islamic Republic of;
IS Iceland; IT Italy|Italia; JE Jersey; JM Jamaica; JO Jordan; JP Japan; KE Kenya; KG Kyrgyzstan; KH Cambodia;
KI Kiribati; KM Comoros; KN Saint Kitts and Nevis;
KP North Korea|Korea, Democratic People's Republic of|Democratic People's Republic of Korea;
KR South Korea|Korea, Republic of|Republic of Korea|Korea (South); KW Kuwait; KY Cayman Islands; KZ Kazakhstan;
LA Laos|Lao People's Democratic Republic; LB Lebanon; LC Saint Lucia; LI Liechtenstein; LK Sri Lanka; LR Liberia;
LS Lesotho; LT Lithuania; LU Luxembourg; LV Latvia; LY Libya; MA Morocco; MC Monaco;
MD Moldova|Moldova, Republic of|Republic of Moldova; ME Montenegro; MF Saint Martin|Saint Martin (French part);
MG Madagascar; MH Marshall Islands; MK North Macedonia|Macedonia|Republic of Macedonia; ML Mali; MM Myanmar|Burma;
MN Mongolia; MO Macau|Macao|Macau SAR; MP Northern Mariana Islands; MQ Martinique; MR Mauritania; MS Montserrat;
MT Malta; MU Mauritius; MV Maldives; MW Malawi; MX Mexico|México; MY Malaysia; MZ Mozambique; NA Namibia;
NC New Caledonia; NE Niger; NF Norfolk Island; NG Nigeria; NI Nicaragua; NL Netherlands|Holland|Nederland;
NO Norway; NP Nepal; NR Nauru; NU Niue; NZ New Zealand; OM Oman; PA Panama; PE Peru; PF French Polynesia;
PG Papua New Guinea; PH Philippines; PK Pakistan; PL Poland; PM Saint Pierre and Miquelon;
PN Pitcairn|Pitcairn Islands; PR Puerto Rico;
PS Palestine|Palestinian Territory|Palestine, State of|Palestinian Territories; PT Portugal; PW Palau; PY Paraguay;
QA Qatar; RE Réunion; RO Romania; RS Serbia; RU Russia|Russian Federation; RW Rwanda; SA Saudi Arabia;
SB Solomon Islands; SC Seychelles; SD Sudan; SE Sweden; SG Singapore;
SH Saint Helena|Saint Helena, Ascension and Tristan da Cunha; SI Slovenia; SJ Svalbard and Jan Mayen; SK Slovakia;
SL Sierra Leone; SM San Marino; SN Senegal; SO Somalia; SR Suriname; SS South Sudan; ST São Tomé and Príncipe;
SV El Salvador; SX Sint Maarten|Sint Maarten (Dutch part); SY Syria|Syrian Arab Republic; SZ Eswatini|Swaziland;
TC Turks and Caicos Islands; TD Chad; TF French Southern Territories; TG Togo; TH Thailand; TJ Tajikistan;
TK Tokelau; TL East Timor|Timor-Leste; TM Turkmenistan; TN Tunisia; TO Tonga; TR Turkey|Türkiye;
TT Trinidad and Tobago; TV Tuvalu; TW Taiwan|Taiwan, Province of China; TZ Tanzania|Tanzania, United Republic of;
UA Ukraine; UG Uganda; UM United States Minor Outlying Islands; US United States|USA|United States of America;
UY Uruguay; UZ Uzbekistan; VA Vatican City|Holy See|Vatican; VC Saint Vincent and the Grenadines;
VE Venezuela|Venezuela, Bolivarian Republic of; VG British Virgin Islands|Virgin Islands, British;
VI US Virgin Islands|U.S. Virgin Islands|Virgin Islands, U.S.|United States Virgin Islands; VN Vietnam|Viet Nam;
VU Vanuatu; WF Wallis and Futuna; WS Samoa; YE Yemen; YT Mayotte; ZA South Africa; ZM Zambia; ZW Zimbabwe
"""
)

#: The countries whose states are commonly written as codes; elsewhere, names are.
_STATES: Mapping[str, Mapping[str, str]] = {
    "US": _codes(
        """
AL Alabama; AK Alaska; AZ Arizona; AR Arkansas; CA California; CO Colorado; CT Connecticut; DE Delaware;
DC District of Columbia|Washington DC|Washington, D.C.; FL Florida; GA Georgia; HI Hawaii; ID Idaho; IL Illinois;
IN Indiana; IA Iowa; KS Kansas; KY Kentucky; LA Louisiana; ME Maine; MD Maryland; MA Massachusetts; MI Michigan;
MN Minnesota; MS Mississippi; MO Missouri; MT Montana; NE Nebraska; NV Nevada; NH New Hampshire; NJ New Jersey;
NM New Mexico; NY New York; NC North Carolina; ND North Dakota; OH Ohio; OK Oklahoma; OR Oregon; PA Pennsylvania;
PR Puerto Rico; RI Rhode Island; SC South Carolina; SD South Dakota; TN Tennessee; TX Texas; UT Utah; VT Vermont;
VA Virginia; WA Washington; WV West Virginia; WI Wisconsin; WY Wyoming
"""
    ),
    "CA": _codes(
        """
AB Alberta; BC British Columbia; MB Manitoba; NB New Brunswick; NL Newfoundland and Labrador; NS Nova Scotia;
NT Northwest Territories; NU Nunavut; ON Ontario; PE Prince Edward Island; QC Quebec; SK Saskatchewan;
YT Yukon|Yukon Territory
"""
    ),
}
