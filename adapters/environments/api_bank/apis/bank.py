"""Bank accounts and stock prices."""

from __future__ import annotations

from ..dates import DAY, tidy
from ..store import Api, Rejected, State


def open_bank_account(state: State, account: str, password: str, name: str) -> str:
    """Open an account. One that exists is no exception but the status "failed"."""
    accounts = state.table("BankAccounts")
    if any(held["account"] == account for held in accounts.values()):
        return "failed"
    accounts[str(len(accounts) + 1)] = {"account": account, "password": password, "name": name}
    return "success"


def query_balance(state: State, token: str) -> float:
    """Return a user's balance."""
    try:
        owner = state.user(token)
    except Rejected:
        raise Rejected("The token is incorrect.") from None
    held = state.table("Bank").get(owner)
    if held is None:
        raise Rejected("The user does not have an account.")
    balance: float = held["balance"]
    return balance


def query_stock(state: State, stock_code: str, date: str) -> float:
    """Return a price."""
    code = stock_code.upper().strip()
    if not code:
        raise Rejected("The stock code cannot be empty.")
    day = tidy(date, DAY)
    prices = state.fixed("Stock").get(code)
    if prices is None:
        raise Rejected("The stock code does not exist.")
    if day not in prices:
        raise Rejected("The stock price of this date is not maintained.")
    price: float = prices[day]
    return price


APIS: dict[str, Api] = {
    "OpenBankAccount": open_bank_account,
    "QueryBalance": query_balance,
    "QueryStock": query_stock,
}
