"""Serving: checkpoint folders, references, fingerprints, backends, and the inspect provider `local`.

    from serving.refs import resolve
    from serving.backends.engine.engine import get_engine
    from serving.request import Request

    checkpoint = resolve("runs/demo/cells/x@16")          # a run, run@step, a checkpoint, a hub id or `mini`
    request = Request(messages=[{"role": "user", "content": "2 + 2?"}])
    [reply] = get_engine().generate(checkpoint, [request])
    reply.text, reply.stop_reason, reply.output_tokens

    inspect eval TASK --model local/runs/demo/cells/x@16                     # add -M engine=vllm for vLLM
    bct serve runs/demo/cells/x@16                                           # to OpenAI clients

Nothing here depends on a setting. Importing this package or `serving._registry` imports no torch.
"""

from __future__ import annotations
