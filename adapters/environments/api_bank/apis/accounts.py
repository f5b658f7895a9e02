"""Users, their passwords and tokens."""

from __future__ import annotations

import string

from ..store import Api, Rejected, State

# the constant of the official implementation, which recorded dialogues repeat
CODE = 970420
_TOKEN_LENGTH = 18


def get_user_token(state: State, username: str, password: str) -> dict[str, str]:
    """Return a user's token."""
    account = state.table("Account").get(username)
    if account is None:
        raise Rejected("The username does not exist.")
    if account["password"] != password:
        raise Rejected("The password is incorrect.")
    return {"token": account["token"]}


def check_token(state: State, token: str) -> dict[str, str]:
    """Return whose token it is."""
    return {"username": state.user(token)}


def register_user(state: State, username: str, password: str, email: str) -> dict[str, str]:
    """Add a user with a token drawn by the session's seed."""
    accounts = state.table("Account")
    if username in accounts:
        raise Rejected("The username already exists.")
    letters = string.ascii_lowercase + string.digits
    token = "".join(state.random.choices(letters, k=_TOKEN_LENGTH))
    accounts[username] = {"password": password, "token": token, "email": email}
    return {"token": token}


def delete_account(state: State, token: str) -> dict[str, str]:
    """Remove a user."""
    del state.table("Account")[state.user(token)]
    return {"status": "success"}


def modify_password(
    state: State, token: str, old_password: str, new_password: str
) -> dict[str, str]:
    """Change a password that the caller knows."""
    account = state.table("Account")[state.user(token)]
    if account["password"] != old_password:
        raise Rejected("The old password is incorrect.")
    account["password"] = new_password
    return {"status": "success"}


def forgot_password(
    state: State,
    status: str,
    username: str | None = None,
    email: str | None = None,
    verification_code: int | None = None,
    new_password: str | None = None,
) -> int | str:
    """Hand out a code, then take it for a new password: two calls."""
    if status == "Forgot Password":
        if username is None or email is None:
            raise Rejected("The username and email are required for the first call.")
        account = state.table("Account").get(username)
        if account is None:
            raise Rejected("The username does not exist.")
        if account["email"] != email:
            raise Rejected("The email is incorrect.")
        state.verification = (username, CODE)
        return CODE
    if status != "Verification Code":
        raise Rejected("The status is only 'Forgot Password' or 'Verification Code'.")
    if state.verification is None:
        raise Rejected("You need to call the API with status 'Forgot Password' at first.")
    if new_password is None or verification_code is None:
        raise Rejected("The new password and verification code are required for the second call.")
    owner, code = state.verification
    if verification_code != code:
        raise Rejected("The verification code is incorrect.")
    state.table("Account")[owner]["password"] = new_password
    return "success"


APIS: dict[str, Api] = {
    "GetUserToken": get_user_token,
    "CheckToken": check_token,
    "RegisterUser": register_user,
    "DeleteAccount": delete_account,
    "ModifyPassword": modify_password,
    "ForgotPassword": forgot_password,
}
