"""Train an agent of your own: any async callable that takes a task and a workspace.

    funcforge train examples/quickstart.toml --set agent.kind=examples/own_agent.py:solve

This one does what a small agent does: it offers the learned functions to its model, runs the first
call that the model asks for, and takes what comes back as the answer.
"""

from __future__ import annotations

from funcforge import Answer, Message, Task, Workspace

PROMPT = "Answer the question. Use a tool where one fits. Close with the answer in \\boxed{}."


async def solve(task: Task, workspace: Workspace) -> Answer:
    """Solve one task. `task.target` is always None here: an agent never sees the answer."""
    messages = [Message(role="system", content=PROMPT), Message(role="user", content=task.prompt)]
    reply = await workspace.complete(messages, tools=workspace.tools())
    if not reply.message.tool_calls:
        return Answer(text=reply.message.content.rpartition("\\boxed{")[2].rstrip("}. \n"))
    call = reply.message.tool_calls[0]
    result = await workspace.call_function(call.name, call.arguments)
    answer = Message(role="tool", content=result.result, tool_call_id=call.id)
    workspace.record([*messages, reply.message, answer])
    return Answer(text=result.result)
