"""Findings about the files that are linted, before anything in them is looked at."""

from __future__ import annotations

from domxml.finding import FindingKind, Severity

DUPLICATE_KEY = FindingKind(
    code="duplicate-key",
    severity=Severity.ERROR,
    title="A key is there twice",
    cause=(
        "YAML allows each key once in a mapping. `kubectl apply` refuses such a file; other clients take the last "
        "value, and what stood first has no effect."
    ),
    hint="keep one of them",
    remedy="Often a block was pasted twice, or a list's `-` is missing. Keep the one that is meant.",
    says=('key "{any}" already set in map',),
)

NOT_RENDERED = FindingKind(
    code="not-rendered",
    severity=Severity.WARNING,
    title="The file is a template, and was not looked at as it will be",
    cause=(
        "Text of Helm, Jinja, Go or envsubst becomes a manifest only when it is rendered. What cannot be read as YAML "
        "before is not looked at; of what can be read, values with placeholders are passed over."
    ),
    hint="render it first, and lint what comes out",
    remedy="`helm template CHART | passgate lint -`, `kustomize build DIR | passgate lint -`, and so on.",
)

KUSTOMIZE_PATCH = FindingKind(
    code="kustomize-patch",
    severity=Severity.INFO,
    title="The file is a patch of a kustomization, and no whole VM",
    cause="A kustomization names it among its patches. What it lacks is in the object that it changes.",
    hint="lint what kustomize makes of it",
    remedy="`kustomize build DIR | passgate lint -`, with the directory of the kustomization.",
)

SUPPRESSION_UNUSED = FindingKind(
    code="suppression-unused",
    severity=Severity.WARNING,
    title="A finding is suppressed that is not found",
    cause=(
        "`passgate.dev/lint-ignore`, or the option `--ignore`, names a code that lint does not find. It would hide the "
        "finding should it come back."
    ),
    hint="remove the suppression",
    remedy="Take the code out of the annotation or of the command line.",
)

KINDS: tuple[FindingKind, ...] = (DUPLICATE_KEY, NOT_RENDERED, KUSTOMIZE_PATCH, SUPPRESSION_UNUSED)
