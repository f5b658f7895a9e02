"""Hotel rooms."""

from __future__ import annotations

from ..dates import DAY, check, tidy
from ..store import Api, Rejected, State


def book_hotel(
    state: State,
    hotel_name: str,
    check_in_time: str,
    check_out_time: str,
    room_count: int,
    adult_count: int,
    child_count: int,
) -> str:
    """Order rooms and return the order's id; a hotel takes one order at a time."""
    check(check_in_time, DAY)
    check(check_out_time, DAY)
    if adult_count > 2 and room_count == 1:
        raise Rejected("The number of adults is greater than 2. Two rooms are ordered.")
    arrival, departure = tidy(check_in_time, DAY), tidy(check_out_time, DAY)
    orders = state.table("Hotel")
    for order in orders.values():
        first, last = (tidy(order[end], DAY) for end in ("check_in_time", "check_out_time"))
        taken = first <= arrival < last or first < departure <= last
        if order["hotel_name"] == hotel_name and taken:
            raise Rejected("The room is not available.")
    key = str(len(orders) + 1)
    orders[key] = {
        "hotel_name": hotel_name,
        "check_in_time": check_in_time,
        "check_out_time": check_out_time,
        "room_count": room_count,
        "adult_count": adult_count,
        "child_count": child_count,
    }
    return key


APIS: dict[str, Api] = {"BookHotel": book_hotel}
