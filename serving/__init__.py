"""How a checkpoint answers: folders, references, fingerprints, the engine and the inspect provider `local`.

    from serving.refs import resolve
    from serving.backends.engine.engine import Request, get_engine

    checkpoint = resolve("runs/demo/cells/x@16")          # a run, run@step, a checkpoint, a hub id or `mini`
    ask = Request(messages=[{"role": "user", "content": "2 + 2?"}])
    [reply] = get_engine().generate(checkpoint, [ask])
    reply.text, reply.stop_reason, reply.output_tokens

    inspect eval TASK --model local/runs/demo/cells/x@16                     # add -M engine=vllm for vLLM
    bct serve runs/demo/cells/x@16                                           # to OpenAI clients

Nothing here knows a setting, and importing this package or `serving._registry` imports no torch.
"""

from __future__ import annotations
