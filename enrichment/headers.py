"""
The names that exports give to the columns which identify a contact.

Names are compared by their letters and digits only, without case and accents: `E-mail 1 - Value`, `emailAddress` and
`Correo electrónico` are `email1value`, `emailaddress` and `correoelectronico`.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

CRM_ID = "crm_id"

#: Identifier -> the names of its column, in their folded form, the best first. Products first, then languages.
NAMES: Mapping[str, tuple[str, ...]] = {
    # A bare `Id` is no such name: any other system calls its own ids so.
    CRM_ID: ("crmid", "recordid", "hsobjectid", "vid", "contactid", "leadid", "recordidcontact"),
    "email": (
        *("email", "emailaddress", "workemail", "businessemail", "companyemail", "primaryemail", "contactemail"),
        *("mail", "emailid", "mailaddress", "email1", "email1value", "email1address", "emailaddress1", "emailvalue"),
        *("workemailaddress", "businessemailaddress", "primaryemailaddress", "professionalemail", "personemail"),
        *("corporateemail", "officeemail", "leademail", "hsemail"),
        *("emailadresse", "mailadresse", "emailgeschaftlich", "geschaftlicheemail", "geschaftlicheemailadresse"),
        *("adresseemail", "adressemail", "adresseelectronique", "courriel", "adressecourriel", "emailprofessionnel"),
        *("correo", "correoelectronico", "direcciondecorreo", "direcciondecorreoelectronico", "emaildetrabajo"),
        *("indirizzoemail", "indirizzomail", "postaelettronica", "indirizzodipostaelettronica", "emailaziendale"),
        *("enderecodeemail", "correioeletronico", "enderecodecorreioeletronico", "emailcorporativo"),
        *("emailadres", "mailadres", "zakelijkemail", "epost", "epostadress", "epostadresse", "sahkoposti"),
        *("adresemail", "adresmailowy", "emailsluzbowy", "emailovaadresa", "sahkopostiosoite"),
        *("eposta", "epostaadresi", "epostasi", "emailcim", "adresademail", "personemailwork", "contactemailwork"),
        *("электроннаяпочта", "элпочта", "почта", "адресэлектронноипочты", "електроннапошта"),
        *("メールアトレス", "电子邮件", "电子邮箱", "邮箱"),
        *("personalemail", "homeemail", "otheremail", "secondaryemail", "privateemail", "emailprivat"),
    ),
    "first_name": (
        *("firstname", "givenname", "forename", "fname", "first", "contactfirstname", "personfirstname"),
        *("leadfirstname", "vorname", "prenom", "nombre", "primernombre", "nombredepila", "nome", "primeironome"),
        *("voornaam", "fornamn", "fornavn", "etunimi", "imie", "jmeno", "krestnijmeno"),
        *("adi", "isim", "keresztnev", "prenume", "имя", "名", "名字"),
    ),
    "last_name": (
        *("lastname", "surname", "familyname", "lname", "last", "contactlastname", "personlastname", "leadlastname"),
        *("nachname", "familienname", "zuname", "nom", "nomdefamille", "apellido", "apellidos", "primerapellido"),
        *("cognome", "sobrenome", "apelido", "ultimonome", "achternaam", "efternamn", "efternavn", "etternavn"),
        *("sukunimi", "nazwisko", "prijmeni", "soyad", "soyadi", "vezeteknev", "фамилия", "姓", "姓氏"),
    ),
    "company_name": (
        *("company", "companyname", "organization", "organisation", "organizationname", "organisationname"),
        *("organization1name", "organisation1name", "account", "accountname", "associatedcompany", "employer"),
        *("currentcompany", "primarycompany", "companynameforemails", "business", "businessname"),
        *("firma", "firmenname", "unternehmen", "unternehmensname", "arbeitgeber"),
        *("societe", "entreprise", "nomdelentreprise", "nomdelasociete", "nomentreprise", "raisonsociale"),
        *("empresa", "nombredelaempresa", "nombreempresa", "compania", "razonsocial"),
        *("azienda", "nomeazienda", "societa", "ragionesociale", "nomedaempresa", "razaosocial"),
        *("bedrijf", "bedrijfsnaam", "organisatie", "foretag", "foretagsnamn", "virksomhed", "virksomhet"),
        *("firmanavn", "firmanamn", "bedrift", "yritys", "nazwafirmy", "spolecnost"),
        *("sirket", "sirketadi", "cegnev", "companie", "personorganization", "personorganisation"),
        *("компания", "организация", "названиекомпании", "会社名", "公司", "公司名称"),
    ),
}

#: What NFKD leaves as it is.
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "\u0131": "i"})


def fold(name: str) -> str:
    """Return a column's name by its letters and digits only, without case and accents."""
    plain = unicodedata.normalize("NFKD", name.casefold().translate(_PLAIN))
    return "".join(letter for letter in plain if letter.isalnum())


def recognised(header: Sequence[str], identifier: str) -> str:
    """Return the column that holds an identifier, by its name; empty if there is none."""
    by_fold = {fold(column): column for column in reversed(header)}
    return next((by_fold[name] for name in NAMES[identifier] if name in by_fold), "")


def count_known(header: Iterable[str]) -> int:
    """Return how many columns have a name that is known."""
    return sum(1 for column in header if fold(column) in _ALL)


def same_column(header: Sequence[str], name: str) -> str:
    """Return the column that has this name, or that differs from it only by case, accents or punctuation."""
    if name in header:
        return name
    return next((column for column in header if fold(column) == fold(name)), "")


_ALL = frozenset(name for names in NAMES.values() for name in names)
