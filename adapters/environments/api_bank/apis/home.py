"""The smart home: scenes, and devices that switch at a time."""

from __future__ import annotations

from typing import Any

from ..dates import MOMENT, tidy
from ..store import Api, Rejected, State


def add_scene(state: State, name: str, devices: list[dict[str, str]]) -> str:
    """Add a scene."""
    scene, made = _scene(name), _devices(devices)
    if scene in state.table("Scenes"):
        raise Rejected("Scene name already exists.")
    state.table("Scenes")[scene] = made
    return "success"


def modify_scene(state: State, name: str, devices: list[dict[str, str]]) -> str:
    """Give a scene other devices."""
    scene, made = _scene(name), _devices(devices)
    if scene not in state.table("Scenes"):
        raise Rejected("The scene does not exist.")
    state.table("Scenes")[scene] = made
    return "success"


def delete_scene(state: State, name: str) -> str:
    """Remove a scene."""
    if state.table("Scenes").pop(_scene(name), None) is None:
        raise Rejected("The scene does not exist.")
    return "success"


def query_scene(state: State, name: str) -> Any:
    """Return a scene's devices."""
    devices = state.table("Scenes").get(_scene(name))
    if devices is None:
        raise Rejected("Scene not found.")
    return devices


def timed_switch(state: State, name: str, time: str, on: bool) -> str:
    """Let a device switch at a time; unknown devices are added."""
    device = name.strip().lower()
    if not device:
        raise Rejected("Name cannot be empty.")
    moment = tidy(time, MOMENT)
    switches = state.table("TimeSwitch").setdefault(device, [])
    for switch in switches:
        if switch["time"] == moment:
            switch["on"] = on
            return "success"
    switches.append({"time": moment, "on": on})
    return "success"


def cancel_timed_switch(state: State, name: str, time: str) -> str:
    """Cancel a switch."""
    device = name.strip().lower()
    if not device:
        raise Rejected("name cannot be empty.")
    moment = tidy(time, MOMENT)
    switches = state.table("TimeSwitch").get(device)
    if switches is None:
        raise Rejected("device name does not exist.")
    found = next((switch for switch in switches if switch["time"] == moment), None)
    if found is None:
        raise Rejected("time does not exist.")
    switches.remove(found)
    return "success"


def _scene(name: str) -> str:
    scene = name.strip().lower()
    if not scene:
        raise Rejected("Scene name cannot be empty.")
    return scene


def _devices(devices: list[dict[str, str]]) -> list[dict[str, str]]:
    made = []
    for device in devices:
        if not isinstance(device, dict) or not {"name", "description"} <= device.keys():
            raise Rejected("Invalid device format.")
        name, description = str(device["name"]), str(device["description"])
        made.append({"name": name.strip().lower(), "description": description.strip()})
    if len({device["name"] for device in made}) < len(made):
        raise Rejected("Device name cannot be duplicated.")
    return sorted(made, key=lambda device: device["name"])


APIS: dict[str, Api] = {
    "AddScene": add_scene,
    "ModifyScene": modify_scene,
    "DeleteScene": delete_scene,
    "QueryScene": query_scene,
    "TimedSwitch": timed_switch,
    "CancelTimedSwitch": cancel_timed_switch,
}
