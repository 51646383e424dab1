"""Which column of an export holds what."""

import pytest

from enrichment.headers import count_known, fold, recognised, same_column


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (["crm_id", "email"], ["crm_id", "email", "", "", ""]),
        (["Record ID", "Email", "First Name", "Last Name", "Company Name"], None),  # HubSpot
        (["Contact ID", "Email", "First Name", "Last Name", "Account Name"], None),  # Salesforce
        (["", "Email", "First Name", "Last Name", "Company Name for Emails"], None),  # Apollo
        (["", "E-mail 1 - Value", "Given Name", "Family Name", "Organization 1 - Name"], None),  # Google
        (["", "E-mail Address", "First Name", "Last Name", "Company"], None),  # Outlook
        (["", "Email Address", "First Name", "Last Name", "Company"], None),  # LinkedIn
        (["", "emailAddress", "firstName", "lastName", "companyName"], None),
        (["", "E-Mail-Adresse", "Vorname", "Nachname", "Firma"], None),
        (["", "Adresse e-mail", "Prénom", "Nom", "Société"], None),
        (["", "Correo electrónico", "Nombre", "Apellidos", "Empresa"], None),
        (["", "Indirizzo e-mail", "Nome", "Cognome", "Azienda"], None),
        (["", "E-mailadres", "Voornaam", "Achternaam", "Bedrijf"], None),
        (["", "E-post", "Fornavn", "Etternavn", "Firma"], None),
        (["", "Adres e-mail", "Imię", "Nazwisko", "Nazwa firmy"], None),
        (["", "E-posta", "Ad\u0131", "Soyad\u0131", "Şirket"], None),
        (["", "Адрес электронной почты", "Имя", "Фамилия", "Компания"], None),
        (["", "メールアドレス", "名", "姓", "会社名"], None),
        (["", "Person - Email - Work", "Person - First name", "Person - Last name", "Person - Organization"], None),
        (["", "WORK_EMAIL", "FIRST-NAME", "last name ", "ORGANISATION"], None),
        (["Id", "Name", "Phone"], [""] * 5),
    ],
)
def test_the_columns_of_known_exports_are_recognised(header: list[str], found: list[str] | None) -> None:
    """By product, by language, and whatever their case, accents and punctuation."""
    names = ("crm_id", "email", "first_name", "last_name", "company_name")
    assert [recognised(header, name) for name in names] == (header if found is None else found)


def test_the_best_of_several_addresses_is_taken() -> None:
    """The address at work goes before the private one, wherever they stand."""
    assert recognised(["Personal Email", "Work Email"], "email") == "Work Email"


def test_a_column_is_the_same_whatever_its_case() -> None:
    """An exact name goes first; no name is like none."""
    assert same_column(["Industry", "industry"], "industry") == "industry"
    assert same_column(["Industry"], "industry") == "Industry"
    assert same_column(["LinkedIn URL"], "linkedin_url") == "LinkedIn URL"
    assert same_column(["Industry"], "title") == ""


def test_known_names_are_counted() -> None:
    """A line that names columns is distinguished by the names that are known."""
    assert count_known(["Vorname", "Firma", "Umsatz"]) == 2
    assert fold("Straße Łódź - Ø") == "strasselodzo"
