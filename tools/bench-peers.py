"""What tools/bench-peers.sh measures; its variables come in the environment."""
import array, ctypes, json, math, os, random, resource, subprocess, sys, tempfile, time

bitbench, env = sys.argv[1], os.environ
model, data, threads = env["SMOLLM2"], env["DATA"], int(env["THREADS"])
items, rounds = int(env["ITEMS"]), int(env["ROUNDS"])


def clock():
    """Wall time; with one thread the CPU time of this process and those it ran, which a busy machine disturbs less."""
    if threads > 1:
        return time.monotonic()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def ours(*words):
    """Seconds of `bitbench eval`, and the JSON objects that it printed."""
    began = clock()
    done = subprocess.run([bitbench, "eval", "-q", "--json", "--threads", str(threads), "--model", model, *words],
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stderr.strip()}")
    return clock() - began, [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]


def beyond(first, all):
    """Seconds of what the second command does more than the first: starting and loading are in both."""
    return ours(*all)[0] - ours(*first)[0]


def present(name):
    try:
        return __import__(name)
    except ImportError as error:
        print(f"skipped: {name}: {error}")


def requests_of(task):
    shown = subprocess.run([bitbench, "datasets", task, "--data", data, "--show", str(items), "--json"],
                           capture_output=True, text=True)
    if shown.returncode:
        print(f"skipped: {shown.stderr.strip()}")
        return []
    return [list(zip(item["contexts"], item["continuations"])) for item in json.loads(shown.stdout)["items"]]


def zero_shot():
    """Requests a second; lm_eval's batch size is the better one of those tried."""
    if not all([present("torch"), present("transformers"), present("lm_eval"), present("gguf")]):
        return
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM
    torch.set_num_threads(threads)
    peers = {int(b): HFLM(pretrained=os.path.dirname(model), gguf_file=os.path.basename(model), dtype="float32",
                          tokenizer=env["TOKENIZER"], device="cpu", batch_size=int(b)) for b in env["BATCHES"].split()}
    print(f"\nrequests a second        bitbench   lm_eval (batch)   ratio   torch {torch.__version__}")
    for task in env["TASKS"].split():
        questions = requests_of(task)
        if len(questions) < 2:
            continue
        pairs = [pair for question in questions for pair in question]
        more, best, peer = len(pairs) - len(questions[0]), math.inf, {}
        select = ["--data", data, "--tasks", task, "--items"]
        for _ in range(rounds):
            best = min(best, beyond(select + ["1"], select + [str(items)]))
            for batch, lm in peers.items():
                instances = [Instance("loglikelihood", {}, pair, 0) for pair in pairs]
                began = clock()
                lm.loglikelihood(instances, disable_tqdm=True)
                peer[batch] = min(peer.get(batch, math.inf), clock() - began)
        batch = min(peer, key=peer.get)
        we, they = more / best, len(pairs) / peer[batch]
        print(f"{task:16} {len(pairs):5}  {we:10.2f} {they:9.2f} ({batch:4}) {we / they:9.2f}", flush=True)


def mean_loss(llama, context, ids, count):
    """Of the first sequence's predictions, from the logits that were just computed."""
    import numpy
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(llama.llama_get_model(context)))
    row = ctypes.cast(llama.llama_get_logits(context), ctypes.POINTER(ctypes.c_float * (count * vocabulary)))
    logits = numpy.frombuffer(row.contents, dtype=numpy.float32).reshape(count, vocabulary).astype(numpy.float64)
    top = logits.max(1)
    total = top + numpy.log(numpy.exp(logits - top[:, None]).sum(1))
    return float((total[:-1] - logits[numpy.arange(count - 1), ids[1:count]]).mean())


def prompts():
    """Tokens a second of prompts whose logits are all computed, float32 weights on both sides."""
    llama = present("llama_cpp")
    if not llama:
        return
    prompts.quiet = llama.llama_log_callback(lambda level, text, data: None)  # kept: llama.cpp calls it to the end
    llama.llama_log_set(prompts.quiet, ctypes.c_void_p(0))
    length, windows = 512, 8
    random.seed(0)
    ids = array.array("i", [random.randrange(49152) for _ in range(length * (windows + 1))])
    with tempfile.TemporaryDirectory() as folder:
        path, whole = os.path.join(folder, "ids.i32"), os.path.join(folder, "f32.gguf")
        with open(path, "wb") as file:
            ids.tofile(file)
        options = llama.llama_model_quantize_default_params()
        options.ftype, options.allow_requantize, options.nthread = 0, True, threads
        if llama.llama_model_quantize(model.encode(), whole.encode(), options):
            print("skipped: llama.cpp cannot write the weights as float32")
            return
        peer = llama.Llama(whole, n_ctx=length, n_batch=length, n_ubatch=length, n_threads=threads,
                           n_threads_batch=threads, logits_all=True, verbose=False)
        select = ["--corpora", f"ids:{path}", "--window", str(length), "--windows"]
        best, theirs = math.inf, math.inf
        for _ in range(rounds):
            best = min(best, beyond(select + ["1"], select + [str(windows + 1)]))
            began = clock()
            for w in range(windows):
                peer.reset()
                llama.llama_memory_clear(llama.llama_get_memory(peer._ctx.ctx), True)
                peer._batch.set_batch(list(ids[w * length:(w + 1) * length]), n_past=0, logits_all=True)
                peer._ctx.decode(peer._batch)
            theirs = min(theirs, clock() - began)
        last = list(ids[(windows - 1) * length:windows * length])
        samples = os.path.join(folder, "windows.jsonl")
        ours(*select, str(windows), "--samples", samples)
        with open(samples) as file:
            loss = json.loads(file.readlines()[windows - 1])
        we, they = length * windows / best, length * windows / theirs
        print(f"\ntokens a second, {length} at a time, all logits: bitbench {we:.0f}, llama.cpp {they:.0f}, "
              f"ratio {we / they:.2f} (llama_cpp {llama.__version__})")
        print(f"the last window's mean loss: bitbench {loss['nll'] / loss['tokens']:.5f}, llama.cpp "
              f"{mean_loss(llama, peer._ctx.ctx, last, length):.5f}")
        peer.close()


zero_shot()
prompts()
