print("kernbench")
