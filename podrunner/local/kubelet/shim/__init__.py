"""The program that stands between the kubelet and a container's processes.

It is started as ``python -I -S FOLDER SPEC_FD CONTROL_FD``. It imports nothing else of podrunner and little of Python,
because each import delays every container; nor is it one script, because that would be compiled each time. It builds
the container's surroundings as the spec says, starts the program and then serves: it passes signals on, starts further
programs (``kubectl exec``) as its own children, reaps orphans, and reports ends. Which surroundings a container gets is
decided in ``plan.py``; the shim only makes them.

Two arrangements:

* *namespaces*: this process (the outer one) dies with the kubelet (``PR_SET_PDEATHSIG``); its child is process 1 of
  a PID namespace, dies with the outer one, and the kernel ends everything in the namespace with process 1.
* *none*: this process is a child subreaper, so that daemonised descendants come back to it, and it kills them all
  when the program ends, on command, or when the control socket closes or the parent-death signal comes because
  the kubelet is gone.

The spec is a ``marshal`` dict (same interpreter on both ends, no import); frames on the control socket are 12 bytes,
``kind(4) id(4) value(4)``; ``FAIL`` carries ``value`` bytes of text. Kubelet to shim: ``SIGN`` value=signal,
``KILL``, ``EXEC`` id=number with the spec and three streams as file descriptors. Shim to kubelet: ``STRT``, ``EXIT``
value=code, ``FAIL``.
"""
