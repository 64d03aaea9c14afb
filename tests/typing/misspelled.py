"""Each statement is a mistake that mypy must find: were the names of unknown type, it would find none."""

import egresslog

egresslog.reed("gateway.log")
log = egresslog.read("gateway.log", colums=["host"])
log.to_panda()
print(log.counts.recods)
verification = egresslog.verify("edition.cnn.com", gateway="gateway.log")
print([one.verdikt for one in verification])
print(egresslog.Verdict.PROOVEN)
egresslog.Filter.parse(hosts="*.cnn.com")
