"""Applicants of the consumer product by a few words."""

from dataclasses import replace
from typing import Any

from lendsafe.records import Applicant, Assessment


def applicant(applicant_id: str = "A-1", **values: Any) -> Applicant:
    return Applicant(applicant_id, values)


def changed(one: Applicant, **values: Any) -> Applicant:
    """The same application with other values; None makes one unknown, ``applicant_id`` renames it."""
    name = values.pop("applicant_id", one.applicant_id)
    return Applicant(name, {**one.given, **values}, one.product)


def about(assessment: Assessment, **values: Any) -> Assessment:
    """The same assessment of an application with other values."""
    return replace(assessment, applicant=changed(assessment.applicant, **values))
